"""The demo agreement as data: Nordlys Software ApS, a Danish company with the standard zones, groups and VAT codes.

The numbers are this agreement's own; nothing outside the sandbox may rely on them.
"""

import calendar
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

Json = dict[str, Any]

AGREEMENT_NUMBER = 1234567
COMPANY = "Nordlys Software ApS"
BASE_CURRENCY = "DKK"
APP_SECRET_TOKEN = "sandbox-app-secret-token"
AGREEMENT_GRANT_TOKEN = "sandbox-agreement-grant-token"

DOMESTIC, EU, ABROAD, DOMESTIC_WITHOUT_VAT = 1, 2, 3, 4
GOODS, GOODS_WITHOUT_VAT, SERVICES, SERVICES_WITHOUT_VAT = 1, 2, 3, 4
NET_8, DUE_DATE, NET_14, INVOICE_MONTH, PAID_IN_CASH = 1, 2, 3, 4, 5
LAYOUT_DANISH, LAYOUT_ENGLISH, LAYOUT_DELETED = 19, 20, 21
STRIPE_PRODUCT, DISCOUNT_PRODUCT, ROUNDING_PRODUCT, BARRED_PRODUCT = "STRIPE", "DISCOUNT", "ROUNDING", "LEGACY-1"
BARRED_CUSTOMER = 1007
SHARED_EMAIL = "regnskab@fjordogfjeld.example"
"""Two customers have it: a match by e-mail finds both."""

EXCHANGE_RATES: Mapping[str, Decimal] = {
    "DKK": Decimal(100),
    "EUR": Decimal("746.05"),
    "USD": Decimal("642.37"),
    "GBP": Decimal("858.94"),
    "SEK": Decimal("67.82"),
    "NOK": Decimal("63.71"),
}
"""Price in DKK of 100 units, the same every day. JPY and CHF are not enabled on the agreement."""

CUSTOMER_DEFAULTS: Json = {
    "currency": "DKK",
    "customerGroup": {"customerGroupNumber": 1},
    "paymentTerms": {"paymentTermsNumber": NET_8},
    "vatZone": {"vatZoneNumber": DOMESTIC},
    "balance": Decimal("0.00"),
    "lastUpdated": "2024-01-15T09:00:00Z",
}
PRODUCT_DEFAULTS: Json = {
    "productGroup": {"productGroupNumber": SERVICES},
    "salesPrice": Decimal("0.00"),
    "lastUpdated": "2024-01-15T09:00:00Z",
}


def _customer(number: int, who: tuple[str, str], place: tuple[str, str, str, str], zone: int, group: int, **more: object) -> Json:
    (name, email), (address, postcode, city, country) = who, place
    return {
        **CUSTOMER_DEFAULTS,
        "customerNumber": number,
        "name": name,
        "email": email,
        "address": address,
        "zip": postcode,
        "city": city,
        "country": country,
        "vatZone": {"vatZoneNumber": zone},
        "customerGroup": {"customerGroupNumber": group},
        **more,
    }


_DK, _SE, _DE, _FR, _US = "Danmark", "Sverige", "Tyskland", "Frankrig", "USA"
CUSTOMERS: tuple[Json, ...] = (
    _customer(1001, ("Havnens Kaffebar ApS", "bogholderi@havnenskaffe.example"), ("Nordre Toldbod 7", "1259", "København K", _DK),
              DOMESTIC, 1, corporateIdentificationNumber="25313763"),
    _customer(1002, ("Frøstrup Maskinværksted A/S", "faktura@froestrup.example"), ("Rødspætteallé 4", "7741", "Frøstrup", _DK),
              DOMESTIC, 1, corporateIdentificationNumber="10403782", telephoneAndFaxNumber="+45 97 99 10 00"),
    _customer(1003, ("Fjord & Fjeld Rejser", SHARED_EMAIL), ("Åboulevarden 31", "8000", "Aarhus C", _DK), DOMESTIC, 1),
    _customer(1004, ("Fjord & Fjeld Events", SHARED_EMAIL), ("Åboulevarden 31", "8000", "Aarhus C", _DK), DOMESTIC, 1),
    _customer(1005, ("Brückner & Söhne GmbH", "buchhaltung@brueckner.example"), ("Hauptstraße 1", "10115", "Berlin", _DE), EU, 2,
              currency="EUR", layout={"layoutNumber": LAYOUT_ENGLISH}),
    _customer(1006, ("Sølvtorvet Tandlæger I/S", "kontor@soelvtorvet.example"), ("Sølvtorvet 2", "1307", "København K", _DK),
              DOMESTIC_WITHOUT_VAT, 1),
    _customer(BARRED_CUSTOMER, ("Tidligere Kunde ApS", "konkurs@tidligere.example"), ("Havnegade 12", "5000", "Odense C", _DK),
              DOMESTIC, 1, barred=True),
    _customer(1008, ("Lindqvist Design AB", "ekonomi@lindqvist.example"), ("Storgatan 14", "211 42", "Malmö", _SE), EU, 2,
              currency="SEK", layout={"layoutNumber": LAYOUT_ENGLISH}),
    _customer(1009, ("Atelier Lumière SARL", "compta@lumiere.example"), ("12 rue des Écoles", "75005", "Paris", _FR), EU, 2,
              currency="EUR", layout={"layoutNumber": LAYOUT_ENGLISH}),
    _customer(1010, ("Redwood Analytics Inc.", "ap@redwood.example"), ("500 Market Street", "94105", "San Francisco", _US),
              ABROAD, 3, currency="USD", layout={"layoutNumber": LAYOUT_ENGLISH}),
    _customer(1011, ("Region Vestkysten", "faktura@vestkysten.example"), ("Regionsvej 1", "6700", "Esbjerg", _DK), DOMESTIC, 1,
              ean="5790001330552", corporateIdentificationNumber="29190909"),
    _customer(1012, ("Nuuk Kajak Tours", "info@nuukkajak.example"), ("Aqqusinersuaq 5", "3900", "Nuuk", "Grønland"), ABROAD, 3),
)  # fmt: skip
"""Existing customers. One is barred, two share an e-mail; the Stripe data set refers to them by e-mail and number."""


def _product(number: str, name: str, group: int, price: str, unit: int, **more: object) -> Json:
    return {
        **PRODUCT_DEFAULTS,
        "productNumber": number,
        "name": name,
        "productGroup": {"productGroupNumber": group},
        "salesPrice": Decimal(price),
        "unit": {"unitNumber": unit},
        **more,
    }


PRODUCTS: tuple[Json, ...] = (
    _product("PRO-M", "Nordlys Pro, månedlig", SERVICES, "299.00", 2, description="Abonnement, betales forud"),
    _product("PRO-Y", "Nordlys Pro, årlig", SERVICES, "2990.00", 2),
    _product("TEAM-M", "Nordlys Team, månedlig", SERVICES, "899.00", 2),
    _product("SENSOR-1", "Nordlys sensor", GOODS, "449.00", 1, costPrice=Decimal("210.00"), barCode="5701234567899"),
    _product("HOUR", "Konsulenttime", SERVICES, "1150.00", 3),
    _product("COURSE", "Kursus, momsfrit", SERVICES_WITHOUT_VAT, "4500.00", 1),
    _product("GIFT", "Gavekort", GOODS_WITHOUT_VAT, "500.00", 1),
    _product(STRIPE_PRODUCT, "Stripe-salg", SERVICES, "0.00", 1, description="Fælles vare for salg uden egen vare"),
    _product(DISCOUNT_PRODUCT, "Rabat", SERVICES, "0.00", 1),
    _product(ROUNDING_PRODUCT, "Øreafrunding", SERVICES_WITHOUT_VAT, "0.00", 1),
    _product(BARRED_PRODUCT, "Nordlys Classic (udgået)", SERVICES, "199.00", 2, barred=True),
)
"""Existing products: one barred, one shared fallback, one for discounts, one without VAT for øre differences."""

_SALES: Mapping[int, tuple[tuple[int, str, str | None], ...]] = {
    GOODS: ((1010, "Salg af varer", "U25"), (1020, "Varesalg EU", "UEUV"), (1030, "Vareeksport", "ABR"),
            (1040, "Varesalg u/moms", None)),
    GOODS_WITHOUT_VAT: ((1050, "Momsfrit varesalg", None), (1020, "Varesalg EU", "UEUV"), (1030, "Vareeksport", "ABR"),
                        (1040, "Varesalg u/moms", None)),
    SERVICES: ((1110, "Salg af ydelser", "U25"), (1120, "Ydelser EU", "UEUY"), (1130, "Ydelser eksport", "ABRY"),
               (1140, "Ydelser u/moms", None)),
    SERVICES_WITHOUT_VAT: ((1150, "Momsfrie ydelser", None), (1120, "Ydelser EU", "UEUY"), (1130, "Ydelser eksport", "ABRY"),
                           (1140, "Ydelser u/moms", None)),
}  # fmt: skip
"""Product group → the sales account (number, name, VAT code) of zones 1, 2, 3 and 4."""

_VAT_CODES = (
    ("U25", "Salgsmoms", Decimal(25), 1), ("UEUV", "Salg af varer EU", Decimal(0), 1),
    ("UEUY", "Salg af ydelser EU", Decimal(0), 1),
    ("ABR", "Eksport af varer", Decimal(0), 1), ("ABRY", "Eksport af ydelser", Decimal(0), 1),
    ("I25", "Købsmoms", Decimal(25), 2),
)  # fmt: skip
_TERMS = (
    (NET_8, "Netto 8 dage", "net", 8), (DUE_DATE, "Forfaldsdato", "dueDate", None), (NET_14, "Netto 14 dage", "net", 14),
    (INVOICE_MONTH, "Løbende måned 30 dage", "invoiceMonth", 30), (PAID_IN_CASH, "Kontant", "paidInCash", None),
)  # fmt: skip
_BALANCE_ACCOUNTS = (
    (3640, "Gebyrer", "profitAndLoss"), (4390, "Valutakursdifferencer", "profitAndLoss"), (5600, "Debitorer", "status"),
    (5820, "Bank", "status"), (5830, "Stripe clearing", "status"), (6902, "Salgsmoms", "status"),
)  # fmt: skip


def records(now: datetime) -> Iterator[tuple[str, int | str, Json]]:
    """(kind, key, record) of everything in the agreement on the day of `now`."""
    for customer in CUSTOMERS:
        yield "customers", customer["customerNumber"], customer
    for product in PRODUCTS:
        yield "products", product["productNumber"], product
    yield from _lists()
    yield from _chart()
    for year in (now.year - 2, now.year - 1, now.year):
        yield from _accounting_year(year, closed=year < now.year, first_barred=year == now.year)


def _lists() -> Iterator[tuple[str, int | str, Json]]:
    for number, name in enumerate(("Domestic", "EU", "Abroad", "Domestic without VAT"), 1):
        zone = {
            "vatZoneNumber": number,
            "name": name,
            "enabledForCustomer": True,
            "enabledForSupplier": number != DOMESTIC_WITHOUT_VAT,
        }
        yield "vat-zones", number, zone
    for number, name in enumerate(("Indenlandske kunder", "EU-kunder", "Udenlandske kunder"), 1):
        yield "customer-groups", number, {"customerGroupNumber": number, "name": name, "account": {"accountNumber": 5600}}
    for number, name in enumerate(("Varer m/moms", "Varer u/moms", "Ydelser m/moms", "Ydelser u/moms"), 1):
        yield "product-groups", number, {"productGroupNumber": number, "name": name, "inventoryEnabled": False}
    for number, name, kind, days in _TERMS:
        terms: Json = {"paymentTermsNumber": number, "name": name, "paymentTermsType": kind}
        yield "payment-terms", number, terms if days is None else {**terms, "daysOfCredit": days}
    for number, name in ((LAYOUT_DANISH, "Dansk standard"), (LAYOUT_ENGLISH, "English standard"), (LAYOUT_DELETED, "Dansk 2019")):
        layout: Json = {"layoutNumber": number, "name": name}
        yield "layouts", number, {**layout, "deleted": True} if number == LAYOUT_DELETED else layout
    currencies = zip(
        EXCHANGE_RATES, ("Danske kroner", "Euro", "US dollar", "Britiske pund", "Svenske kroner", "Norske kroner"), strict=True
    )
    for code, name in currencies:
        yield "currencies", code, {"code": code, "name": name}
    for number, name in enumerate(("stk.", "mdr.", "timer"), 1):
        yield "units", number, {"unitNumber": number, "name": name}
    for number, name in enumerate(("Signe Holm", "Mads Krogh"), 1):
        yield "employees", number, {"employeeNumber": number, "name": name}


def _chart() -> Iterator[tuple[str, int | str, Json]]:
    for number, name in ((1, "Sales VAT"), (2, "Purchase VAT")):
        yield "vat-types", number, {"vatTypeNumber": number, "name": name}
    for code, name, rate, kind in _VAT_CODES:
        vat_type = {"vatTypeNumber": kind, "name": "Sales VAT" if kind == 1 else "Purchase VAT"}
        account = {"accountNumber": 6902}
        yield (
            "vat-accounts",
            code,
            {"vatCode": code, "name": name, "ratePercentage": rate, "vatType": vat_type, "account": account},
        )
    for number, name, account_type in _BALANCE_ACCOUNTS:
        yield "accounts", number, _account(number, name, account_type, None)
    for group, zones in _SALES.items():
        for zone, (number, name, vat_code) in enumerate(zones, 1):
            yield "accounts", number, _account(number, name, "profitAndLoss", vat_code)
            cell = {"productGroupNumber": group, "vatZoneNumber": zone, "accountNumber": number}
            yield "sales-accounts", f"{group}/{zone}", cell


def _account(number: int, name: str, account_type: str, vat_code: str | None) -> Json:
    side = "credit" if account_type == "profitAndLoss" else "debit"
    account: Json = {
        "accountNumber": number,
        "name": name,
        "accountType": account_type,
        "balance": Decimal("0.00"),
        "debitCredit": side,
    }
    return account if vat_code is None else {**account, "vatAccount": {"vatCode": vat_code}}


def _accounting_year(year: int, *, closed: bool, first_barred: bool) -> Iterator[tuple[str, int | str, Json]]:
    yield (
        "accounting-years",
        str(year),
        {"year": str(year), "fromDate": f"{year}-01-01", "toDate": f"{year}-12-31", "closed": closed},
    )
    for month in range(1, 13):
        first, last = date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])
        yield (
            "periods",
            first.isoformat(),
            {
                "periodNumber": month,
                "year": str(year),
                "fromDate": first.isoformat(),
                "toDate": last.isoformat(),
                "closed": closed,
                "barred": first_barred and month == 1,
            },
        )


def facts() -> Json:
    """Single values of the agreement: tokens, role and number series."""
    return {
        "agreement": AGREEMENT_NUMBER,
        "app_secret_token": APP_SECRET_TOKEN,
        "agreement_grant_token": AGREEMENT_GRANT_TOKEN,
        "role": "SuperUser",
        "last_booked_number": 20_000,
        "last_booked_draft": 140,
    }
