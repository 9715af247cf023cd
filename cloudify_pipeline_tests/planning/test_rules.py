from datetime import UTC, datetime
from typing import Any

import pytest

from cloudify_pipeline.planning.plans import Skip
from cloudify_pipeline.planning.records import ChargeRecord
from cloudify_pipeline.planning.rules import DueDocument, due
from cloudify_pipeline_tests.planning.books import NOV, charge, line, record, settings

INSTANT = datetime.fromtimestamp(NOV, UTC)
OPEN: dict[str, Any] = {"status": "open", "status_transitions": {"finalized_at": NOV, "paid_at": None}}
DRAFT: dict[str, Any] = {"status": "draft", "status_transitions": {"finalized_at": None, "paid_at": None}}


def decide(rules: list[dict[str, Any]] | None = None, *, sent_at: datetime | None = None, **invoice: Any) -> DueDocument | Skip:
    connection = settings(invoices={"rules": rules} if rules else {})
    return due(record([line(10000)], sent_at=sent_at, **invoice), connection)


@pytest.mark.parametrize(
    ("when", "invoice", "sent_at", "outcome"),
    [
        ("paid", {}, None, "due"),
        ("paid", {"amount_paid_off_stripe": 10000}, None, "due"),
        ("paid", {"amount_due": 0, "starting_balance": -10000}, None, "due"),
        ("paid", OPEN, None, "S-NOT-DUE"),
        ("paid", DRAFT, None, "S-NOT-DUE"),
        ("paid", {"status": "uncollectible", "status_transitions": {"finalized_at": NOV, "paid_at": None}}, None, "S-NOT-DUE"),
        ("paid", {"status": "void"}, None, "S-VOID"),
        ("paid", {"deleted": True}, None, "S-VOID"),
        ("paid", {"lines": {"data": []}, "total": 0}, None, "S-ZERO"),
        ("paid", {"total": 0}, None, "S-ZERO"),
        ("finalized", OPEN, None, "due"),
        ("finalized", DRAFT, None, "S-NOT-DUE"),
        ("finalized", {"status": "uncollectible", "status_transitions": {"finalized_at": NOV}}, None, "due"),
        ("sent", OPEN | {"collection_method": "send_invoice"}, INSTANT, "due"),
        ("sent", OPEN | {"collection_method": "send_invoice"}, None, "S-NOT-DUE"),
        ("sent", {}, None, "S-NEVER-SENT"),
        ("sent", {}, INSTANT, "due"),
        ("sent", DRAFT, None, "S-NOT-DUE"),
    ],
)
def test_when_a_document_is_due(when: str, invoice: dict[str, Any], sent_at: datetime | None, outcome: str) -> None:
    decided = decide([{"when": when, "create": "draft_invoice"}], sent_at=sent_at, **invoice)
    assert (decided.code if isinstance(decided, Skip) else "due") == outcome


def test_the_rule_names_itself_and_its_instant() -> None:
    decided = decide()
    assert isinstance(decided, DueDocument)
    assert (decided.kind, decided.rule) == ("booked_invoice", "rules[0]: paid → booked_invoice")
    assert (decided.fired_at, decided.trigger) == (INSTANT, "paid")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"country": ["DK", "SE"]}, True),
        ({"country": ["dk"]}, True),
        ({"country": ["SE"]}, False),
        ({"currency": ["DKK"]}, True),
        ({"currency": ["EUR"]}, False),
        ({"amount": {"gte": 100, "lt": "100.01"}}, True),
        ({"amount": {"gt": 100}}, False),
        ({"amount": {"eq": "100.00"}}, True),
        ({"amount": {"lte": "99.99"}}, False),
        ({"collection_method": "charge_automatically"}, True),
        ({"collection_method": "send_invoice"}, False),
        ({"metadata": {"channel": "Web"}}, True),
        ({"metadata": {"channel": ["shop", "web"]}}, True),
        ({"metadata": {"channel": "shop"}}, False),
        ({"metadata": {"channel": None}}, False),
        ({"metadata": {"other": None}}, True),
        ({"metadata": {"empty": None}}, True),
        ({"country": ["DK"], "currency": ["EUR"]}, False),
    ],
)
def test_conditions(condition: dict[str, Any], holds: bool) -> None:
    rules: list[dict[str, Any]] = [
        {"when": "paid", "create": "draft_order", "if": condition},
        {"when": "paid", "create": "booked_invoice"},
    ]
    decided = decide(rules, metadata={"channel": "web", "empty": ""})
    assert isinstance(decided, DueDocument)
    assert decided.kind == ("draft_order" if holds else "booked_invoice")


def test_the_country_is_the_shipping_one_where_billing_has_none() -> None:
    rules: list[dict[str, Any]] = [{"when": "paid", "create": "draft_order", "if": {"country": ["NO"]}}]
    shipping = {"name": "x", "address": {"country": "NO"}}
    decided = decide(rules, customer_address=None, customer_shipping=shipping)
    assert isinstance(decided, DueDocument)


def test_a_skip_shows_every_rule_with_the_value_it_saw() -> None:
    rules: list[dict[str, Any]] = [
        {"when": "paid", "create": "booked_invoice", "if": {"country": ["SE"]}},
        {"when": "paid", "create": "draft_invoice"},
    ]
    decided = decide(rules, **OPEN)
    assert isinstance(decided, Skip)
    assert [seen.rule for seen in decided.evidence] == ["rules[0]: paid → booked_invoice", "rules[1]: paid → draft_invoice"]
    assert decided.evidence[0].inputs["country"] == "DK"
    assert decided.evidence[1].inputs == {"status": "open", "paid_at": "never"}
    assert decided.reason == "it is open, and not paid yet"


@pytest.mark.parametrize(
    ("go_live", "code"),
    [("2026-11-10T13:00:00+01:00", None), ("2026-11-10T13:00:01+01:00", "S-BEFORE-GO-LIVE")],
)
def test_nothing_is_due_that_fired_before_going_live(go_live: str, code: str | None) -> None:
    decided = due(record([line(10000)]), settings(go_live_from=datetime.fromisoformat(go_live)))
    assert (decided.code if isinstance(decided, Skip) else None) == code


def test_an_invoice_that_may_still_be_paid_is_not_called_never_sent() -> None:
    rules = [{"when": "sent", "create": "draft_invoice"}, {"when": "paid", "create": "booked_invoice"}]
    decided = decide(rules, **OPEN)
    assert isinstance(decided, Skip)
    assert decided.code == "S-NOT-DUE"


def test_never_sent_is_explained_to_a_bookkeeper() -> None:
    decided = decide([{"when": "sent", "create": "draft_invoice"}])
    assert isinstance(decided, Skip)
    assert "automatically" in decided.reason
    assert "when: paid" in decided.reason


@pytest.mark.parametrize(
    ("when", "more", "outcome"),
    [
        ("paid", {}, "due"),
        ("finalized", {}, "due"),
        ("sent", {}, "S-NEVER-SENT"),
        ("paid", {"status": "failed"}, "S-CHARGE-FAILED"),
        ("paid", {"status": "pending"}, "S-CHARGE-FAILED"),
        ("paid", {"captured": False, "amount_captured": 0}, "S-NOT-DUE"),
    ],
)
def test_payments_without_an_invoice(when: str, more: dict[str, Any], outcome: str) -> None:
    decided = due(charge(**more), settings(invoices={"rules": [{"when": when, "create": "booked_invoice"}]}))
    assert (decided.code if isinstance(decided, Skip) else "due") == outcome


def test_payments_are_left_out_by_setting_and_when_they_pay_an_invoice() -> None:
    off = due(charge(), settings(invoices={"include_charges": False}))
    paying = due(ChargeRecord(charge().charge, None, "in_1"), settings())
    assert [skip.code for skip in (off, paying) if isinstance(skip, Skip)] == ["S-CHARGES-OFF", "S-HAS-INVOICE"]
