"""What the agreement is and what it can be read by: ``/self``, the reference lists, accounting years, the periods service."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudify_pipeline.sandbox.economic import demo_agreement
from cloudify_pipeline.sandbox.economic.errors import Json, not_found, problem
from cloudify_pipeline.sandbox.economic.exchange import Reply, Request
from cloudify_pipeline.sandbox.economic.filters import compile_filter
from cloudify_pipeline.sandbox.economic.listing import listed
from cloudify_pipeline.sandbox.economic.references import decoded, encoded, linked
from cloudify_pipeline.sandbox.economic.store import EconomicStore

LISTS: Mapping[str, str] = {
    "customer-groups": "customerGroupNumber",
    "product-groups": "productGroupNumber",
    "units": "unitNumber",
    "vat-zones": "vatZoneNumber",
    "vat-accounts": "vatCode",
    "vat-types": "vatTypeNumber",
    "layouts": "layoutNumber",
    "currencies": "code",
    "payment-terms": "paymentTermsNumber",
    "accounts": "accountNumber",
    "accounting-years": "year",
    "employees": "employeeNumber",
}
"""Reference lists that are only read, with the property that is their key."""

_TEXT_KEYS = ("vatCode", "code", "year")
_PERIOD_FIELDS = ("periodNumber", "year", "dateFrom", "dateTo")
_LARGEST_OPENAPI_PAGE = 100


@dataclass(frozen=True, slots=True)
class Chart:
    """The read-only side of one agreement."""

    store: EconomicStore

    def about(self, request: Request) -> Reply:
        """``/self``: whom the tokens speak for."""
        role = self.store.fact("role")
        body = {
            "agreementNumber": self.store.fact("agreement"),
            "agreementType": {"agreementTypeNumber": 1, "name": "e-conomic standard"},
            "userName": "API",
            "signupDate": "2021-03-01",
            "company": {
                "name": demo_agreement.COMPANY,
                "addressLine1": "Kronprinsessegade 18",
                "zip": "1306",
                "city": "København K",
                "country": "Danmark",
                "email": "bogholderi@nordlys.example",
                "companyIdentificationNumber": "38158260",
                "vatNumber": "38158260",
            },
            "application": {"appNumber": 4711, "name": "Sandbox", "requiredRoles": [{"roleNumber": 2, "name": role}]},
            "settings": {
                "baseCurrency": self.store.fact("base_currency", demo_agreement.BASE_CURRENCY),
                "defaultPaymentTerm": demo_agreement.NET_8,
            },
            "canSendElectronicInvoice": True,
            "modules": [],
            "self": f"{request.base}/self",
        }
        return Reply(200, body)

    def list(self, request: Request, kind: str) -> Reply:
        """One of the reference lists."""
        return listed(request, kind, self.store.all(kind), lambda record: self._shown(request, kind, record))

    def one(self, request: Request, kind: str, part: str) -> Reply:
        """One record of a reference list."""
        key = decoded(part) if LISTS[kind] in _TEXT_KEYS else int(part) if part.isdecimal() else 0
        record = self.store.get(kind, key)
        if record is None:
            raise not_found()
        return Reply(200, self._shown(request, kind, record))

    def _shown(self, request: Request, kind: str, record: Json) -> Json:
        address = f"{request.base}/{kind}/{encoded(record[LISTS[kind]])}"
        shown: Json = {**linked(record, request.base), "self": address}
        if kind == "product-groups":
            shown["salesAccounts"] = f"{address}/sales-accounts"
        if kind == "accounting-years":
            shown["periods"] = f"{address}/periods"
        return shown

    def sales_accounts(self, request: Request, part: str) -> Reply:
        """The account of each VAT zone for one product group."""
        if not part.isdecimal() or self.store.get("product-groups", int(part)) is None:
            raise not_found()
        cells = [cell for cell in self.store.all("sales-accounts") if cell["productGroupNumber"] == int(part)]

        def show(cell: Json) -> Json:
            zone = self.store.get("vat-zones", cell["vatZoneNumber"]) or {}
            body = {
                "vatZone": {"vatZoneNumber": cell["vatZoneNumber"], "name": zone.get("name", "")},
                "salesAccount": self.store.get("accounts", cell["accountNumber"]),
            }
            shown: Json = linked(body, request.base)
            return shown

        return listed(request, "product-groups.sales-accounts", cells, show)

    def periods_of_year(self, request: Request, part: str) -> Reply:
        """Periods of one year. Legacy shows what is closed, never what is barred."""
        if self.store.get("accounting-years", decoded(part)) is None:
            raise not_found()
        records = [period for period in self.store.all("periods") if period["year"] == decoded(part)]
        shown = ("periodNumber", "fromDate", "toDate", "closed")
        return listed(request, "accounting-years.periods", records, lambda period: {name: period[name] for name in shown})

    def service_periods(self, request: Request, form: str | None) -> Reply:
        """Periods as the accounting-years service shows them, with `isBarred`; `form` is None, ``paged`` or ``count``."""
        periods = [
            {
                "periodNumber": period["periodNumber"],
                "year": period["year"],
                "dateFrom": f"{period['fromDate']}T00:00:00Z",
                "dateTo": f"{period['toDate']}T00:00:00Z",
                "isClosed": period["closed"],
                "isBarred": period["barred"],
                "objectVersion": f"{period['fromDate']}-{period['closed']:d}{period['barred']:d}",
            }
            for period in self.store.all("periods")
        ]
        return _service_answer(request, periods, form)

    def service_years(self, request: Request, form: str | None) -> Reply:
        """Accounting years of the same service."""
        years = [
            {
                "year": year["year"],
                "dateFrom": f"{year['fromDate']}T00:00:00Z",
                "dateTo": f"{year['toDate']}T00:00:00Z",
                "isClosed": year["closed"],
            }
            for year in self.store.all("accounting-years")
        ]
        return _service_answer(request, years, form)


def _service_answer(request: Request, items: list[Json], form: str | None) -> Reply:
    if "filter" in request.query:
        predicate = compile_filter(request.query["filter"], "service", _PERIOD_FIELDS)
        items = [item for item in items if predicate(item)]
    if form is None:
        return Reply(200, {"items": items}, cost=3)
    if form == "count":
        return Reply(200, len(items))
    skip, size = request.query.get("skippages", "0"), request.query.get("pagesize", "20")
    if not (skip.isdecimal() and size.isdecimal() and 1 <= int(size) <= _LARGEST_OPENAPI_PAGE):
        raise problem(400, "Invalid paging.", "InvalidInput")
    return Reply(200, items[int(skip) * int(size) : (int(skip) + 1) * int(size)], cost=3)
