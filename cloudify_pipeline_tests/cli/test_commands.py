"""Each command against both embedded servers: exit code, JSON shape, words, and that nothing but GET is sent."""

from decimal import Decimal
from pathlib import Path

import pytest

from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import Company


def methods(company: Company) -> set[str]:
    return {call.method for call in company.sandbox.economic.calls} | {call.method for call in company.sandbox.stripe.calls}


def test_connect_says_connected_and_who_both_sides_are(shop: Company, call: Call) -> None:
    called = call("connect", "--json")
    assert called.code == 0
    found = called.document
    assert (found["status"], found["connected"], found["bound"]) == ("Connected", True, True)
    assert found["ledger"]["facts"]["agreement"] == "1234567"
    assert found["ledger"]["facts"]["company"] == "Nordlys Software ApS"
    assert found["stripe"]["facts"]["key"] == "restricted key, test"
    assert found["next"] == "cloudify check nordlys"
    assert methods(shop) == {"GET"}
    words = call("connect", "nordlys")
    assert words.out.startswith("nordlys: Connected\n")
    assert words.out.rstrip().endswith("Next: cloudify check nordlys")


def test_connect_names_the_remedy_of_a_withdrawn_grant(shop: Company, call: Call) -> None:
    shop.sandbox.economic.revoke_grant()
    called = call("connect", "--json")
    assert called.code == 3
    found = called.document
    assert (found["status"], found["stripe"]["status"], found["ledger"]["status"]) == ("Expired", "Connected", "Expired")
    (finding,) = found["findings"]
    assert (finding["code"], finding["side"]) == ("E-CONN-GRANT", "ledger")
    assert "Grant access again" in finding["remedy"]


def test_connect_lists_every_right_that_the_key_lacks(shop: Company, call: Call) -> None:
    shop.sandbox.stripe.rights -= {"rak_event_read", "rak_invoice_read"}
    called = call("connect", "--json")
    assert called.code == 3
    assert called.document["status"] == "Degraded"
    lacking = [one["message"] for one in called.document["findings"]]
    assert any("may not read Invoices" in words for words in lacking)
    assert any("may not read Events" in words for words in lacking)


def test_other_books_are_refused_without_rebind_and_after_posting(shop: Company, call: Call) -> None:
    opened = shop.connection()
    opened.log.bind("nordlys", identity("999"), shop.now)
    opened.log.close()
    refused = call("connect", "--json")
    assert (refused.code, refused.document["status"]) == (3, "NotConnected")
    assert "bound to agreement 999" in refused.document["findings"][0]["message"]
    assert call("connect", "--rebind").code == 0
    shop.sync()
    opened.log.bind("nordlys", identity("999"), shop.now)
    opened.log.close()
    posted = call("connect", "--rebind", "--json")
    assert posted.code == 3
    assert "posted there already" in posted.document["findings"][0]["message"]


def identity(agreement: str):  # type: ignore[no-untyped-def]
    from cloudify_pipeline.ledgers.port import LedgerIdentity

    return LedgerIdentity(agreement, "Other ApS", "DKK")


def test_preview_shows_the_exact_requests_and_sends_only_get(shop: Company, call: Call) -> None:
    called = call("preview", "--json")
    assert called.code == 1, "one document is held"
    found = called.document
    (document,) = found["documents"]
    assert (document["net"], document["vat"], document["gross"]) == ("100.00", "25.00", "125.00")
    assert [request["operation"] for request in document["requests"]] == ["create_document", "book_document"]
    body = document["requests"][0]["body"]
    assert body["customer"]["customerNumber"].startswith("<number given at creation of cus_")
    assert body["references"]["other"] == f"stripe:{document['stripe_id']}"
    assert found["writes"] == 4, "customer, product, draft, booking"
    (problem,) = [one for one in found["problems"] if one["record_kind"] == "document"]
    assert problem["sums"] == {"DKK": "125.00"}
    assert "E-VAT-ZONE" in {one["code"] for one in found["problems"]}
    assert methods(shop) == {"GET"}


def test_preview_leaves_the_log_and_the_staged_plans_as_they_are(shop: Company, call: Call) -> None:
    call("preview")
    opened = shop.connection()
    assert opened.log.records("nordlys") == []
    assert opened.staging.plans("plan_documents") == []
    opened.log.close()


def test_the_previewed_body_is_what_a_sync_sends(shop: Company, call: Call) -> None:
    previewed = call("preview", "--json").document
    wanted = [request for one in previewed["customers"] + previewed["products"] for request in one["requests"]]
    shop.sync()
    sent = {entry["key"]: entry["body"] for entry in operations(shop)}
    for request in wanted:
        assert sent[request["about"]] == request["body"]
    (document,) = previewed["documents"]
    draft = document["requests"][0]["body"]
    draft["customer"]["customerNumber"] = sent[document["requests"][0]["about"]]["customer"]["customerNumber"]
    assert sent[document["requests"][0]["about"]] == draft


def operations(company: Company):  # type: ignore[no-untyped-def]
    """The first body that was sent for each key."""
    import json

    from sqlalchemy import text

    opened = company.connection()
    with opened.log.engine.connect() as db:
        rows = db.execute(text("SELECT key, body FROM operations ORDER BY id DESC")).mappings().all()
    opened.log.close()
    return [{"key": row["key"], "body": json.loads(row["body"])} for row in rows]


def test_an_invoice_that_stripe_does_not_know_is_said_to_be_so(shop: Company, call: Call) -> None:
    called = call("preview", "in_nothing", "--json")
    assert called.code == 1
    assert called.document["unknown_ids"] == ["in_nothing"]


def test_check_finds_numbers_that_the_ledger_lacks(shop: Company, call: Call) -> None:
    assert call("check", "--json").code == 1, "one document is held, the settings are right"
    shop.configure(customers={"defaults": {"payment_terms": 77, "group": 1}}, products={"no_product": "NONE"})
    shop.connection().log.close()
    called = call("check", "--json")
    assert called.code == 2
    keys = {one["key"]: one["code"] for one in called.document["findings"] if one["severity"] == "error"}
    assert keys == {"customers.defaults.payment_terms": "E-REFERENCE", "products.no_product": "E-PROD-MISSING"}
    assert methods(shop) == {"GET"}
    found = next(one["found"] for one in called.document["findings"] if one["key"] == "customers.defaults.payment_terms")
    assert found.startswith("payment terms 77 is not in the ledger; there are 1 (Netto 8 dage)")
    assert "customers.defaults.payment_terms" in call("check").out


def test_check_warns_of_invoices_that_are_never_sent(shop: Company, call: Call) -> None:
    shop.configure(invoices={"rules": [{"when": "sent", "create": "draft_invoice"}]})
    shop.connection().log.close()
    called = call("check", "--json")
    assert called.document["never_sent"] == {"invoices": 2, "sums": {"DKK": "250.00"}}
    assert [one["code"] for one in called.document["findings"] if one["key"] == "invoices.rules"] == ["S-NEVER-SENT"]


def test_status_and_explain_tell_what_became_of_a_document(shop: Company, call: Call) -> None:
    shop.sync()
    found = call("status", "--json").document
    assert found["connection"] == "nordlys"
    assert {state: count for state, count in found["counts"].items() if count} == {"booked": 1, "held": 1}
    booked = next(row for row in found["documents"] if row["state"] == "booked")
    assert set(booked) >= {
        "stripe_id", "stripe_number", "kind", "state", "ledger_number", "total", "currency", "error_code", "error", "attempts",
        "updated_at",
    }  # fmt: skip
    assert Decimal(booked["total"]) == Decimal("125.00")
    words = call("status", "--find", "Ærø")
    assert "Ærø & Søn [DK]" in words.out
    assert "125.00 DKK" in words.out

    for wanted in (booked["stripe_id"], booked["ledger_number"], booked["stripe_number"]):
        explained = call("explain", wanted, "--json")
        assert explained.code == 0
        assert explained.document["stripe_id"] == booked["stripe_id"]
        assert explained.document["ledger_number"] == booked["ledger_number"]
    document = explained.document
    assert document["totals"]["gross"] == "125.00"
    assert [attempt["outcome"] for attempt in document["attempts"]] == ["confirmed", "confirmed"]
    assert {one["decision"] for one in document["decisions"]} >= {"rule", "vat_zone", "customer"}
    assert document["customer"]["decisions"]
    assert any(one["target"] == "recipient.name" and one["result"] == "Ærø & Søn [DK]" for one in document["fields"])

    held = next(row for row in found["documents"] if row["state"] == "held")
    reason = call("explain", held["stripe_id"])
    assert "E-VAT-ZONE" in reason.out
    assert "What to do:" in reason.out


@pytest.mark.parametrize("prefix", ["cus_", "prod_"])
def test_a_customer_or_product_is_explained_too(shop: Company, call: Call, prefix: str) -> None:
    shop.sync()
    kind = "customer" if prefix == "cus_" else "product"
    opened = shop.connection()
    (linked,) = opened.log.identities("nordlys", kind).values()  # type: ignore[arg-type]
    opened.log.close()
    explained = call("explain", "nordlys", linked.stripe_id, "--json")
    assert explained.code == 0
    assert explained.document["kind"] == kind
    assert explained.document["ledger_number"] == str(linked.number)
    assert [attempt["outcome"] for attempt in explained.document["attempts"]] == ["confirmed"]


def test_a_settled_document_is_explained_without_a_ledger(shop: Company, call: Call) -> None:
    shop.sync()
    shop.sync()
    shop.sandbox.economic.revoke_grant()
    booked = next(row for row in call("status", "--json").document["documents"] if row["state"] == "booked")
    explained = call("explain", booked["stripe_id"], "--json")
    assert explained.code == 0
    assert explained.document["today"]["note"].startswith("not planned now: E-CONN-GRANT")
    assert (explained.document["plan_from"], explained.document["rule"]) == ("as posted", "rules[0]: paid → booked_invoice")
    assert len(explained.document["attempts"]) == 2


def test_settings_fields_show_fill_rates_and_metadata_keys(shop: Company, call: Call) -> None:
    shop.sandbox.stripe.add_customer(at=shop.now, name="Med nøgle", metadata={"order ref": "PO-1", "ean": "5790001330552"})
    call("preview")
    found = call("settings", "fields", "nordlys", "--json").document
    customers = {field["path"]: field for field in found["stripe"]["customers"]}
    assert customers["name"]["fill_rate"] == 1.0
    assert customers['metadata."order ref"']["samples"] == ["PO-1"]
    ledger = {field["path"]: field for field in found["ledger"]["documents"]}
    assert "durable key" in ledger["references.other"]["reserved"]
    assert "delivery.city" in call("settings", "fields").out


def test_settings_show_masks_secrets_and_names_origins(written: Path, call: Call) -> None:
    called = call("settings", "show", "--json")
    assert called.code == 0
    assert "itself" not in called.out
    words = call("settings", "show", "nordlys").out
    assert "env: CLOUDIFY_DEMO_STRIPE_KEY" in words
    assert "customers.on_multiple_matches" in words


def test_settings_schema_is_a_json_schema(call: Call) -> None:
    schema = call("settings", "schema")
    assert schema.code == 0
    assert "customers" in schema.document["properties"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("connect", "nope"),
        ("check", "nope"),
        ("preview", "nope"),
        ("sync", "nope"),
        ("status", "nope"),
        ("explain", "nope", "in_1"),
        ("explain", "in_nobody_knows"),
        ("settings", "show", "nope"),
        ("sync", "nordlys", "cus_1"),
        ("sync", "--since", "yesterday"),
        ("status", "--limit", "none"),
        ("nonsense",),
    ],
)
def test_a_wrong_call_ends_with_2_and_names_what_is_wrong(written: Path, call: Call, arguments: tuple[str, ...]) -> None:
    called = call(*arguments, "--json")
    assert called.code == 2
    assert called.document["error"]["code"] == "E-SETTINGS"
    assert called.document["error"]["remedy"]
    words = call(*arguments)
    assert words.code == 2
    assert words.out == ""
    assert "Traceback" not in words.err
    assert "itself" not in called.out + words.err


def test_without_a_name_several_connections_are_listed(written: Path, call: Call) -> None:
    (written / "other.yaml").write_text("nonsense: true\n", encoding="utf-8")
    called = call("status")
    assert called.code == 2
    assert "nordlys, other" in called.err


def test_no_secret_is_ever_shown(shop: Company, call: Call) -> None:
    secrets = set(shop.sandbox.environment.values())
    for arguments in (("connect",), ("connect", "--json"), ("check",), ("preview", "--json"), ("settings", "fields")):
        called = call(*arguments)
        assert not [secret for secret in secrets if secret in called.out + called.err]
    shop.sandbox.economic.revoke_grant()
    for command in ("connect", "check", "preview"):
        called = call(command)
        assert called.code == 3
        assert not [secret for secret in secrets if secret in called.out + called.err]


def test_an_unexpected_error_shows_its_place_and_not_its_text(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDIFY_POSTING_URL", "nonsense://user:password@host/db")
    called = call("status", "--json")
    assert called.code in {2, 3}
    assert "password" not in called.out + called.err


@pytest.mark.parametrize("arguments", [("--help",), ("sync", "--help"), ("--version",)])
def test_help_and_version_end_with_0(call: Call, arguments: tuple[str, ...]) -> None:
    assert call(*arguments).code == 0
