"""The ledger's own chart, as planning needs it: zones, groups, accounts, VAT codes, terms, layouts, currencies, years.

Read live once a run by the ledger's room; no number in it is ever written in our code. VAT is decided by
zone × product group → sales account → VAT code → rate (reference/economic.md §6.4, product.md §4.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

Number = int | str
"""A ledger's own key of a thing: an integer in one ledger, a code in another."""


@dataclass(frozen=True, slots=True)
class VatZone:
    """Where a customer stands for VAT; `enabled` is false when the ledger does not allow it on customers."""

    number: Number
    name: str
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class VatCode:
    """A VAT code with its rate in percent (25 for Danish VAT)."""

    code: str
    name: str
    rate: Decimal
    barred: bool = False
    account: Number | None = None
    """The account that its VAT goes to, where the ledger tells."""


@dataclass(frozen=True, slots=True)
class SalesAccount:
    """The account that one product group posts to in one VAT zone; without a code it bears no VAT."""

    number: Number
    vat_code: str | None
    barred: bool = False


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """`type` is the ledger's own word (net, dueDate, invoiceMonth, …); `days` of credit where it has them."""

    number: Number
    name: str
    type: str
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """Anything with a number and a name: a group, a layout, a unit."""

    number: Number
    name: str
    barred: bool = False


@dataclass(frozen=True, slots=True)
class AccountingPeriod:
    """A stretch of an accounting year; in a closed or barred one nothing may be booked."""

    first: date
    last: date
    closed: bool = False
    barred: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything planning asks of the ledger, read once. Mappings are keyed by the ledger's number."""

    base_currency: str
    currencies: frozenset[str]
    vat_zones: Mapping[Number, VatZone]
    vat_codes: Mapping[str, VatCode]
    product_groups: Mapping[Number, Named]
    sales_accounts: Mapping[tuple[Number, Number], SalesAccount]
    """(product group, VAT zone) → account."""
    customer_groups: Mapping[Number, Named]
    payment_terms: Mapping[Number, PaymentTerms]
    layouts: Mapping[Number, Named]
    units: Mapping[Number, Named] = field(default_factory=dict)
    periods: tuple[AccountingPeriod, ...] = ()
    barred_known: bool = True
    """Whether the ledger lets itself be asked which periods are barred; without, a barred one shows when a booking fails."""

    def vat_rate(self, group: Number, zone: Number) -> Decimal | None:
        """Percent of VAT the ledger will add for `group` in `zone`; None when the matrix has no usable cell."""
        account = self.sales_accounts.get((group, zone))
        if account is None or account.barred:
            return None
        if account.vat_code is None:
            return Decimal(0)
        code = self.vat_codes.get(account.vat_code)
        return None if code is None or code.barred else code.rate

    def open_on(self, day: date) -> bool:
        """Whether something dated `day` may be booked: it lies in a period that is neither closed nor barred."""
        holding = [period for period in self.periods if period.first <= day <= period.last]
        return bool(holding) and not any(period.closed or period.barred for period in holding)
