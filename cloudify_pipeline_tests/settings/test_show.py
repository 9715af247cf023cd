from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from cloudify_pipeline.settings.schema import json_schema
from cloudify_pipeline.settings.show import effective_settings
from cloudify_pipeline_tests.settings.files import SMALLEST, changed, load


def test_every_setting_in_force_is_shown_with_its_origin(tmp_path: Path) -> None:
    rule = {"when": "paid", "create": "draft_order", "if": {"country": ["DK", "SE"]}}
    rows = {row.key: (row.value, row.origin) for row in effective_settings(load(tmp_path, changed(invoices={"rules": [rule]})))}
    assert rows["stripe.api_key"] == ("{env: STRIPE_API_KEY}", "file")
    assert rows["economic.agreement_grant_token"] == ("{file: grant}", "file")
    assert rows["invoices.rules[0].if.country"] == ("[DK, SE]", "file")
    assert rows["invoices.rules[0].if.currency"] == ("null", "default")
    assert rows["write_mode"] == ("dry_run", "default")
    assert rows["customers.match[1].ledger"] == ("email", "default")
    assert rows["invoices.write_back"] == ("true", "default")
    assert rows["journal.enabled"] == ("false", "default, not built yet")
    assert rows["invoices.send_by"] == ("none", "default")
    assert rows["customers.fields"] == ("{}", "default")


def test_no_secret_value_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_51Abc")
    assert "sk_live" not in str(effective_settings(load(tmp_path, SMALLEST)))


@pytest.mark.parametrize(
    ("file", "valid"),
    [
        (SMALLEST, True),
        (changed(invoices={"rules": [{"when": "paid", "create": "draft_order", "if": {"country": ["DK"]}}]}), True),
        (changed(customers__fields={"email": "email", "name": ["name", "id"], "phone": None, "ean": {"from": "id"}}), True),
        (changed(customers__fields={"email": {"form": "email"}}), False),
        (changed(writemode="write"), False),
        (changed(stripe__api_key="sk_live_51Abc"), False),
    ],
)
def test_editors_can_check_a_file(file: dict[str, Any], valid: bool) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(file) is valid
