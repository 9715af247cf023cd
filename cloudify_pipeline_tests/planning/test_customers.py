from typing import Any

import pytest

from cloudify_pipeline.accounting.parties import LedgerRecord, Lookup
from cloudify_pipeline.errors import Problem
from cloudify_pipeline.planning.customers import customer_lookups, plan_customer
from cloudify_pipeline.planning.plans import Hold, PlannedCustomer, dump, load
from cloudify_pipeline.settings.models import ConnectionSettings
from cloudify_pipeline_tests.planning.books import CHART, DK_ADDRESS, EU, customer_mappings, settings

NUMBER_PAIR = {"stripe": "metadata.economic_customer_number", "ledger": "number"}
EMAIL_PAIR = {"stripe": "email", "ledger": "email"}
NAME_PAIR = {"stripe": "name", "ledger": "name"}


def customer(**more: Any) -> dict[str, Any]:
    return {
        "id": "cus_1",
        "name": "Frøstrup ApS",
        "email": "billing@example.com",
        "currency": None,
        "address": DK_ADDRESS,
        "shipping": None,
        "tax_exempt": "none",
        "tax_ids": {"object": "list", "data": []},
        "metadata": {},
        **more,
    }


def stored(number: int = 101, name: str = "Frøstrup ApS", *, barred: bool = False, **fields: Any) -> LedgerRecord:
    return LedgerRecord(number, name, barred, {"email": "billing@example.com", "name": name, **fields})


def plan(
    what: dict[str, Any] | None = None,
    *found: LedgerRecord,
    connection: ConnectionSettings | None = None,
    known: LedgerRecord | None = None,
    **more: Any,
) -> PlannedCustomer | Hold:
    """Plan a customer; every record of `found` is offered as a hit to every question, as a loose server would."""
    connection = connection or settings()
    asked = customer_lookups(what or customer(), connection.customers)
    lookups = [] if isinstance(asked, Problem) else [*asked]
    if connection.customers.default_customer is not None:
        lookups.append(Lookup("number", str(connection.customers.default_customer)))
    return plan_customer(
        what or customer(),
        settings=connection,
        mappings=customer_mappings(),
        chart=CHART,
        candidates=dict.fromkeys(lookups, found),
        known=known,
        **more,
    )


def customers(**more: Any) -> ConnectionSettings:
    return settings(customers=more)


def code(planned: PlannedCustomer | Hold) -> str:
    return planned.problem.code if isinstance(planned, Hold) else planned.action


def test_the_questions_follow_the_pairs_and_leave_out_empty_fields() -> None:
    both = customer(metadata={"economic_customer_number": "101"}, email=" Billing@Example.com ")
    assert customer_lookups(both, settings().customers) == (Lookup("number", "101"), Lookup("email", "Billing@Example.com"))
    assert customer_lookups(customer(), settings().customers) == (Lookup("email", "billing@example.com"),)


@pytest.mark.parametrize(
    ("on_empty", "email", "outcome"),
    [
        ("error", "billing@example.com", "E-MATCH-EMPTY"),
        ("next_pair", "billing@example.com", "create"),
        ("next_pair", None, "E-MATCH-EMPTY"),
        ("next_pair", "  ", "E-MATCH-EMPTY"),
        ("create", "billing@example.com", "create"),
        ("create", None, "create"),
    ],
)
def test_an_empty_match_field(on_empty: str, email: str | None, outcome: str) -> None:
    assert code(plan(customer(email=email), connection=customers(on_empty_match_field=on_empty))) == outcome


def test_all_empty_creates_although_others_that_are_not_found_are_held() -> None:
    connection = customers(on_empty_match_field="create", on_not_found="hold")
    assert code(plan(customer(email=None), connection=connection)) == "create"
    assert code(plan(customer(), connection=connection)) == "E-MATCH-NONE"


@pytest.mark.parametrize(
    ("email", "matches"),
    [
        ("billing@example.com", True),
        ("BILLING@example.COM ", True),
        ("billing@example.com other@example.com", False),
        ("billing@example.co", False),
        ("", False),
    ],
)
def test_an_e_mail_is_compared_again_whatever_the_server_said(email: str, matches: bool) -> None:
    assert code(plan(customer(), stored(email=email))) == ("use" if matches else "create")


def test_names_are_compared_exactly_after_unicode_normalisation() -> None:
    by_name = customers(match=[NAME_PAIR])
    decomposed = customer(name="A\u030arhus ApS")
    assert code(plan(decomposed, stored(name="\u00c5rhus ApS"), connection=by_name)) == "use"
    assert code(plan(decomposed, stored(name="\u00c5rhus aps"), connection=by_name)) == "create"


def test_the_first_pair_that_finds_exactly_one_wins() -> None:
    linked = customer(metadata={"economic_customer_number": "102"})
    planned = plan(linked, stored(101), stored(102, email="other@example.com"))
    assert isinstance(planned, PlannedCustomer)
    assert planned.number == 102
    assert [seen.outcome for seen in planned.evidence if seen.decision == "customer"] == ["102"]


@pytest.mark.parametrize(("setting", "outcome"), [("hold", "E-MATCH-MANY"), ("lowest_number", "use")])
def test_several_hits(setting: str, outcome: str) -> None:
    planned = plan(
        customer(), stored(205), stored(1010), stored(99, barred=True), connection=customers(on_multiple_matches=setting)
    )
    assert code(planned) == outcome
    if isinstance(planned, PlannedCustomer):
        assert planned.number == 205


def test_several_hits_leave_the_word_to_a_later_pair_that_finds_one() -> None:
    connection = customers(match=[EMAIL_PAIR, NAME_PAIR])
    planned = plan(customer(), stored(1, "Another"), stored(2), connection=connection)
    assert isinstance(planned, PlannedCustomer)
    assert planned.number == 2


def test_a_barred_record_holds() -> None:
    held = plan(customer(), stored(barred=True))
    assert isinstance(held, Hold)
    assert held.problem.code == "E-CUST-BARRED"
    assert "101" in held.problem.message


@pytest.mark.parametrize("value", ["0", "007", "12A", "1234567890", "-1", "１２", "1.5"])
def test_a_number_from_stripe_is_checked_before_any_question(value: str) -> None:
    connection = customers(match=[EMAIL_PAIR], number={"source": "stripe", "stripe_field": "metadata.no", "store_in": None})
    asked = customer_lookups(customer(metadata={"no": value}), connection.customers)
    assert isinstance(asked, Problem)
    assert (asked.code, asked.found) == ("E-CUST-NUM", value)


@pytest.mark.parametrize("value", ["1", "999999999"])
def test_a_new_customer_gets_its_number_from_stripe(value: str) -> None:
    connection = customers(match=[EMAIL_PAIR], number={"source": "stripe", "stripe_field": "metadata.no", "store_in": None})
    planned = plan(customer(metadata={"no": value}), connection=connection)
    assert isinstance(planned, PlannedCustomer)
    assert (planned.action, planned.number, planned.store_number_in) == ("create", int(value), None)
    assert code(plan(customer(), connection=connection)) == "E-CUST-NUM"
    taken = stored(int(value), "Somebody", email="other@example.com")
    assert code(plan(customer(metadata={"no": value}), taken, connection=connection)) == "E-CUST-TAKEN"


def test_a_new_customer_has_the_five_defaults_and_the_mapped_fields() -> None:
    connection = customers(defaults={"payment_terms": 2, "group": 1, "layout": 19})
    planned = plan(connection=connection, currency="eur")
    assert isinstance(planned, PlannedCustomer)
    assert (planned.group, planned.payment_terms, planned.vat_zone, planned.layout, planned.currency) == (1, 2, 1, 19, "EUR")
    assert (planned.name, planned.fields) == ("Frøstrup ApS", {"email": "billing@example.com", "city": "Frøstrup"})
    assert (planned.number, planned.store_number_in) == (None, "economic_customer_number")
    assert load(*dump(planned)) == planned


@pytest.mark.parametrize(
    ("what", "defaults", "outcome", "setting"),
    [
        ({"currency": "pln"}, {}, "E-CURRENCY", None),
        ({"currency": "pln"}, {"currency": "EUR"}, "create", None),
        ({}, {"currency": "PLN"}, "E-CURRENCY", None),
        ({}, {"group": 77}, "E-REFERENCE", "customers.defaults.group"),
        ({}, {"group": 9}, "E-REFERENCE", "customers.defaults.group"),
        ({}, {"payment_terms": 77}, "E-REFERENCE", "customers.defaults.payment_terms"),
        ({}, {"layout": 77}, "E-REFERENCE", "customers.defaults.layout"),
        ({}, {"vat_zone": 77}, "E-REFERENCE", "customers.defaults.vat_zone"),
        ({}, {"vat_zone": 5}, "E-REFERENCE", "customers.defaults.vat_zone"),
        ({"address": None}, {}, "E-VAT-ZONE", None),
        ({"address": None}, {"vat_zone": 3}, "create", None),
    ],
)
def test_a_new_customer_needs_what_the_chart_has(
    what: dict[str, Any], defaults: dict[str, Any], outcome: str, setting: str
) -> None:
    planned = plan(customer(**what), connection=customers(defaults={"payment_terms": 1, "group": 1} | defaults))
    assert code(planned) == outcome
    if setting is not None:
        assert isinstance(planned, Hold)
        assert planned.problem.field == setting


def test_a_found_customer_needs_nothing_of_the_sort() -> None:
    planned = plan(customer(address=None, currency="pln"), stored())
    assert isinstance(planned, PlannedCustomer)
    assert (planned.action, planned.zone_known, planned.fields, planned.store_number_in) == ("use", False, {}, None)
    zoned = LedgerRecord(101, "x", barred=False, fields={"email": "billing@example.com"}, vat_zone=EU)
    known = plan(customer(), zoned)
    assert isinstance(known, PlannedCustomer)
    assert (known.vat_zone, known.zone_known) == (EU, True)


def test_an_update_writes_only_what_differs_and_clears_nothing() -> None:
    found = stored(email="BILLING@example.com", city="Thisted")
    planned = plan(customer(), found, connection=customers(on_found="update"))
    assert isinstance(planned, PlannedCustomer)
    assert (planned.action, planned.fields) == ("update", {"email": "billing@example.com", "city": "Frøstrup"})
    assert {line.target for line in planned.lineage} == {"email", "city"}
    moved_out = plan(customer(address=None), stored(city="Thisted"), connection=customers(on_found="update"))
    assert code(moved_out) == "use"
    assert code(plan(customer(), found)) == "use"


@pytest.mark.parametrize(
    ("default", "found", "outcome"),
    [
        (500, [stored(500, "Stripe")], "use"),
        (500, [stored(500, "Stripe", barred=True)], "E-CUST-BARRED"),
        (500, [], "E-REFERENCE"),
        (None, [], "E-REFERENCE"),
    ],
)
def test_a_default_customer_stands_in(default: int | None, found: list[LedgerRecord], outcome: str) -> None:
    connection = customers(on_not_found="default_customer", default_customer=default)
    planned = plan(customer(email="new@example.com"), *found, connection=connection)
    assert code(planned) == outcome
    if isinstance(planned, PlannedCustomer):
        assert planned.number == 500


def test_a_customer_deleted_in_stripe_is_matched_but_never_created() -> None:
    deleted = {"id": "cus_1", "deleted": True}
    assert code(plan(deleted)) == "E-MATCH-EMPTY"
    assert code(plan(customer(deleted=True))) == "E-CUST-DELETED"
    assert code(plan(customer(deleted=True), stored())) == "use"
    connection = customers(on_not_found="default_customer", default_customer=500)
    for gone in (deleted, customer(deleted=True)):
        assert code(plan(gone, stored(500, "Stripe", email="x"), connection=connection)) == "use"


def test_a_link_of_an_earlier_run_wins_over_matching() -> None:
    planned = plan(customer(), stored(101), known=stored(300))
    assert isinstance(planned, PlannedCustomer)
    assert planned.number == 300
    renamed = plan(customer(email="new@example.com"), known=stored(300))
    assert code(renamed) == "use"


def test_a_link_whose_number_went_to_somebody_else_holds() -> None:
    held = plan(customer(), known=stored(300, "Somebody else", email="other@example.com"))
    assert isinstance(held, Hold)
    assert held.problem.code == "E-CUST-TAKEN"
    assert "Somebody else" in held.problem.message
    assert code(plan(customer(), known=stored(300, barred=True))) == "E-CUST-BARRED"


def test_a_link_that_is_gone_is_said_to_be_so_and_matched_anew() -> None:
    planned = plan(customer(), stored(101), linked=300)
    assert isinstance(planned, PlannedCustomer)
    assert planned.number == 101
    assert planned.evidence[0].outcome == "gone"


@pytest.mark.parametrize("settings", [{"on_not_found": "hold"}, {"on_not_found": "create"}])
def test_a_link_that_is_gone_is_made_again_or_held_by_that_name(settings: dict[str, Any]) -> None:
    planned = plan(customer(), linked=300, connection=customers(**settings))
    if settings["on_not_found"] == "create":
        assert isinstance(planned, PlannedCustomer)
        assert (planned.action, planned.gone) == ("create", 300)
        return
    assert isinstance(planned, Hold)
    assert planned.problem.code == "E-CUST-GONE"
    assert planned.problem.message.startswith("customer 300 is no longer in the ledger, and ")
    assert planned.problem.found == "300"


def test_a_number_that_is_gone_is_not_matched_although_stripe_names_it() -> None:
    """The ledger gave it to somebody else."""
    connection = customers(match=[{"stripe": "metadata.no", "ledger": "number"}, {"stripe": "email", "ledger": "email"}])
    planned = plan(
        customer(metadata={"no": "300"}), stored(300, "Somebody else", email="x@example.com"), linked=300, connection=connection
    )
    assert isinstance(planned, PlannedCustomer)
    assert (planned.action, planned.gone) == ("create", 300)


def test_a_link_that_went_to_somebody_else_follows_the_number_that_stripe_names_by_now() -> None:
    connection = customers(match=[{"stripe": "metadata.no", "ledger": "number"}, {"stripe": "email", "ledger": "email"}])
    other = stored(300, "Somebody else", email="other@example.com")
    planned = plan(customer(metadata={"no": "301"}), other, stored(301, "The right one"), known=other, connection=connection)
    assert isinstance(planned, PlannedCustomer)
    assert (planned.action, planned.number) == ("use", 301)
