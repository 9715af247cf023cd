"""What a sales document comes to: line totals, VAT by rate, base-currency amounts.

VAT is decided by recipient's zone × product's group → sales account → VAT code → rate; nothing a caller sends changes it.
Whether e-conomic rounds VAT per document or per line is not published, so the store says which to play.
"""

from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

from cloudify_pipeline.sandbox.economic.demo_agreement import BASE_CURRENCY, EXCHANGE_RATES
from cloudify_pipeline.sandbox.economic.errors import Json
from cloudify_pipeline.sandbox.economic.store import EconomicStore

_CENT = Decimal("0.01")
_HUNDRED = Decimal(100)


def rounded(amount: Decimal) -> Decimal:
    """Two decimals, half away from zero."""
    return amount.quantize(_CENT, ROUND_HALF_UP)


def line_total(line: Json) -> Decimal:
    """Net of one line in document currency, after its discount."""
    quantity, price = Decimal(line.get("quantity", 0)), Decimal(line.get("unitNetPrice", 0))
    return rounded(quantity * price * (_HUNDRED - Decimal(line.get("discountPercentage", 0))) / _HUNDRED)


def sales_account(store: EconomicStore, product: Json, zone: int) -> Json | None:
    """The account a product's sale posts to in a zone; None when the matrix has no usable cell."""
    cell = store.get("sales-accounts", f"{product['productGroup']['productGroupNumber']}/{zone}")
    account = None if cell is None else store.get("accounts", cell["accountNumber"])
    return None if account is None or account.get("barred") else account


def vat_rate(store: EconomicStore, product: Json, zone: int) -> Decimal:
    """Percent of VAT on a product in a zone; 0 where the account bears no VAT code."""
    account = sales_account(store, product, zone) or {}
    code = account.get("vatAccount", {}).get("vatCode")
    vat_account = None if code is None else store.get("vat-accounts", code)
    return Decimal(0) if vat_account is None else Decimal(vat_account["ratePercentage"])


def exchange_rate(document: Json) -> Decimal:
    """Base currency for 100 units: as sent, else the rate of the day; always 100 for the base currency."""
    if document["currency"] == BASE_CURRENCY:
        return _HUNDRED
    sent = document.get("exchangeRate")
    return Decimal(EXCHANGE_RATES[document["currency"]] if sent is None else sent)


def line_vat(store: EconomicStore, line: Json, zone: int) -> tuple[Decimal, Decimal]:
    """(rate, VAT amount rounded on this line alone)."""
    if "product" not in line:
        return Decimal(0), Decimal("0.00")
    product = store.get("products", line["product"]["productNumber"])
    rate = Decimal(0) if product is None else vat_rate(store, product, zone)
    return rate, rounded(line_total(line) * rate / _HUNDRED)


def priced(store: EconomicStore, document: Json) -> Json:
    """`document` with every amount the server computes."""
    zone = document["recipient"]["vatZone"]["vatZoneNumber"]
    rate = exchange_rate(document)
    lines, by_rate = [], defaultdict[Decimal, Decimal](Decimal)
    net = vat = cost = Decimal("0.00")
    for line in document.get("lines", []):
        total = line_total(line)
        percent, amount = line_vat(store, line, zone)
        by_rate[percent] += total
        net += total
        vat += amount
        cost += Decimal(line.get("quantity", 0)) * Decimal(line.get("unitCostPrice", 0))
        lines.append({**line, "totalNetAmount": total} if "product" in line else line)
    if store.vat_rounding == "per_document":
        vat = sum((rounded(total * percent / _HUNDRED) for percent, total in by_rate.items()), Decimal("0.00"))
    base_net, base_cost = rounded(net * rate / _HUNDRED), rounded(cost)
    margin = base_net - base_cost
    return {
        **document,
        "exchangeRate": rate,
        # The live server writes the net amount of a header with six decimals.
        "netAmount": net.quantize(Decimal("0.000001")),
        "netAmountInBaseCurrency": base_net,
        "grossAmount": net + vat,
        "grossAmountInBaseCurrency": rounded((net + vat) * rate / _HUNDRED),
        "vatAmount": vat,
        "roundingAmount": Decimal("0.00"),
        "costPriceInBaseCurrency": base_cost,
        "marginInBaseCurrency": margin,
        "marginPercentage": rounded(margin / base_net * _HUNDRED) if base_net else Decimal("0.00"),
        "lines": lines,
    }
