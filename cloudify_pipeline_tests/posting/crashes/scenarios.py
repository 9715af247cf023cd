"""What each operation is made to do in the matrix: the books before, the plans, and the request it becomes.

A new operation of the port has no scenario here, and the matrix fails until it has one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from cloudify_pipeline.accounting.documents import CustomerRef, DocumentKind, ProductRef, SalesDocument, SalesLine, Totals
from cloudify_pipeline.ledgers.port import Operation
from cloudify_pipeline.planning.plans import PlannedCustomer, PlannedDocument, PlannedProduct
from cloudify_pipeline.sandbox.economic.store import EconomicStore

LAYOUT, GROUP, TERMS, DOMESTIC, SERVICES = 19, 1, 1, 1, 3


@dataclass(frozen=True)
class Work:
    """The plans of one run."""

    customers: tuple[PlannedCustomer, ...] = ()
    products: tuple[PlannedProduct, ...] = ()
    documents: tuple[PlannedDocument, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """One way in which `operation` comes to be sent: as `method` on `path`."""

    operation: Operation
    name: str
    method: str
    path: str
    work: Work
    before: tuple[Work, ...] = ()
    """Runs that went well before the one that is disturbed."""
    seed: Callable[[EconomicStore], object] = field(default=lambda store: None)

    @property
    def id(self) -> str:
        return f"{self.operation}({self.name})"


def customer(n: int = 1, *, email: str | None = "bogholderi@kaffe.example", number: int | None = None) -> PlannedCustomer:
    """A new customer as planning makes it: the name stands beside the fields."""
    fields = {"address": "Havnegade 1", "zip": "8000", "city": "Aarhus", "country": "Danmark"}
    mail = {} if email is None else {"email": email}
    return PlannedCustomer(f"cus_{n}", "create", number, f"Kaffe {n} ApS", "DKK", GROUP, TERMS, DOMESTIC, None, fields | mail)


def product(n: int = 1) -> PlannedProduct:
    return PlannedProduct(f"prod_{n}", "create", f"PRO-{n}", "Pro plan", SERVICES, None, {"description": "Betales forud"})


def invoice(kind: DocumentKind, n: int = 1, *, buyer: int = 1, goods: int = 1, price: str = "100.00") -> PlannedDocument:
    net = Decimal(price)
    vat = net / 4
    line = SalesLine("Pro plan", ProductRef(stripe_id=f"prod_{goods}"), Decimal(1), net, net=net, vat_rate=Decimal(25))
    document = SalesDocument(
        key=f"stripe:in_{n}",
        kind=kind,
        stripe_id=f"in_{n}",
        stripe_number=f"NORD-{n:04}",
        currency="DKK",
        date=date(2026, 11, 2),
        due_date=None,
        customer=CustomerRef(stripe_id=f"cus_{buyer}"),
        payment_terms=TERMS,
        vat_zone=DOMESTIC,
        layout=LAYOUT,
        lines=(line,),
        stripe_total=net + vat,
        predicted=Totals(net, vat, net + vat),
        fields={"recipient.name": "Kaffe ApS", "notes.heading": f"Stripe invoice NORD-{n:04}"},
    )
    return PlannedDocument(document, "rules[0]")


def whole(kind: DocumentKind) -> Work:
    """A customer, a product and their document."""
    return Work((customer(),), (product(),), (invoice(kind),))


def changed(kind: DocumentKind) -> Work:
    """The same document, after Stripe changed what it says and what it costs."""
    plan = invoice(kind, price="120.00")
    document = replace(plan.document, fields={**plan.document.fields, "notes.heading": "Stripe invoice NORD-0001, rettet"})
    return Work((customer(),), (product(),), (replace(plan, document=document),))


def _known_customer(store: EconomicStore) -> None:
    store.add_customer(customerNumber=4711, name="Kaffe 1 ApS", email="gammel@kaffe.example", mobilePhone="20 30 40 50")


def _known_product(store: EconomicStore) -> None:
    store.add_product("PRO-1", name="Pro plan", description="Gammel tekst", barCode="5701234567899")


_UPDATED_CUSTOMER = replace(customer(), action="update", number=4711, fields={"email": "ny@kaffe.example", "city": "Odense"})
_UPDATED_PRODUCT = replace(product(), action="update", fields={"description": "Ny tekst"})

ALL: tuple[Scenario, ...] = (
    Scenario("create_customer", "found by e-mail", "POST", "^/customers$", whole("draft_invoice")),
    Scenario(
        "create_customer", "without e-mail", "POST", "^/customers$",
        replace(whole("draft_invoice"), customers=(customer(email=None),)),
    ),
    Scenario(
        "create_customer", "numbered by Stripe", "POST", "^/customers$",
        replace(whole("draft_invoice"), customers=(customer(number=70_001),)),
    ),
    Scenario("create_product", "new", "POST", "^/products$", whole("draft_invoice")),
    Scenario(
        "update_customer", "two fields", "PUT", "^/customers/4711$",
        replace(whole("draft_invoice"), customers=(_UPDATED_CUSTOMER,)), seed=_known_customer,
    ),
    Scenario(
        "update_product", "one field", "PUT", "^/products/PRO-1$",
        replace(whole("draft_invoice"), products=(_UPDATED_PRODUCT,)), seed=_known_product,
    ),
    Scenario("create_document", "draft invoice", "POST", "^/invoices/drafts$", whole("draft_invoice")),
    Scenario("create_document", "draft order", "POST", "^/orders/drafts$", whole("draft_order")),
    Scenario("create_document", "to be booked", "POST", "^/invoices/drafts$", whole("booked_invoice")),
    Scenario(
        "update_document", "draft invoice", "PUT", "^/invoices/drafts/[0-9]+$", changed("draft_invoice"),
        before=(whole("draft_invoice"),),
    ),
    Scenario(
        "update_document", "draft order", "PUT", "^/orders/drafts/[0-9]+$", changed("draft_order"),
        before=(whole("draft_order"),),
    ),
    Scenario(
        "update_document", "then booked", "PUT", "^/invoices/drafts/[0-9]+$", changed("booked_invoice"),
        before=(whole("draft_invoice"),),
    ),
    Scenario("book_document", "new draft", "POST", "^/invoices/booked$", whole("booked_invoice")),
)  # fmt: skip

_KINDS: tuple[DocumentKind, ...] = ("booked_invoice", "draft_invoice", "draft_order")
BUSY = Work(
    tuple(customer(n, email=f"bogholderi{n}@kaffe.example") for n in range(1, 5)),
    tuple(product(n) for n in range(1, 4)),
    tuple(invoice(_KINDS[n % 3], n, buyer=1 + n % 4, goods=1 + n % 3, price=f"{100 + n}.00") for n in range(1, 19)),
)
"""Six calls in flight at any time: whoever is killed leaves several of them open."""

_PLACES: dict[Operation, str] = {
    "create_customer": "^/customers$",
    "create_product": "^/products$",
    "create_document": "^/(invoices|orders)/drafts$",
    "book_document": "^/invoices/booked$",
}
CROWDS: dict[Operation, Scenario] = {
    operation: Scenario(operation, "one of many", "POST", path, BUSY) for operation, path in _PLACES.items()
}
SCENARIOS: dict[str, Scenario] = {scenario.id: scenario for scenario in (*ALL, *CROWDS.values())}


def of(operation: Operation) -> list[Scenario]:
    """The scenarios of `operation`."""
    return [scenario for scenario in ALL if scenario.operation == operation]
