"""What the commands say of whose Stripe data they read, and how they end where these are another's."""

from copy import deepcopy

import pytest
import yaml

from cloudify_pipeline_tests.cli.conftest import Call, Load
from cloudify_pipeline_tests.whole_runs.conftest import Company

LIVE_KEY = "rk_live_51NordlysSandboxRestrictedKey0002"


def to_live(shop: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.sandbox.stripe.restricted_key = LIVE_KEY
    monkeypatch.setenv("CLOUDIFY_DEMO_STRIPE_KEY", LIVE_KEY)


def test_connect_check_and_each_run_say_test_mode(shop: Company, call: Call, load: Load) -> None:
    assert "test mode" in call("connect").out
    assert "test mode" in call("check").out
    load()
    assert call("sync", "--json").document["mode"] == "test mode"
    assert "test mode" in call("sync").out
    assert call("replay", "--failed", "--json").document["mode"] == "test mode"


def test_a_trial_with_a_test_key_and_dry_run_then_a_live_key_and_write_is_refused_by_name(
    shop: Company, call: Call, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.configure(write_mode="dry_run")
    shop.connection().log.close()
    load()
    assert call("sync").code == 1, "one is held"
    shop.configure(write_mode="write")
    shop.connection().log.close()
    to_live(shop, monkeypatch)
    for command in (("sync",), ("replay", "--failed"), ("preview",), ("check",)):
        called = call(command[0], "nordlys", *command[1:], "--json")
        assert (called.code, called.document["error"]["code"]) == (3, "E-CONN-MODE"), command
        assert "--rebind" in called.document["error"]["remedy"]
        assert LIVE_KEY not in called.out + called.err
    connected = call("connect", "--json")
    assert connected.code == 3
    assert {one["code"] for one in connected.document["findings"]} == {"E-CONN-MODE"}
    assert shop.sandbox.economic.writes() == []
    rebound = call("connect", "--rebind")
    assert rebound.code == 0
    assert "thrown away" in rebound.out


def test_a_copied_file_is_refused_by_every_command_that_writes(shop: Company, call: Call, load: Load) -> None:
    load()
    call("sync")
    written = len(shop.sandbox.economic.writes())
    copy = deepcopy(shop.settings)
    (shop.folder / "copy.yaml").write_text(yaml.safe_dump(copy), encoding="utf-8")
    load()
    held = next(row["stripe_id"] for row in call("status", "nordlys", "--json").document["documents"] if row["state"] == "held")
    called = call("sync", "copy", "--json")
    assert (called.code, called.document["error"]["code"]) == (2, "E-CONN-SECOND")
    assert "connection nordlys" in called.document["error"]["message"]
    for command in (("replay", "copy", held), ("accept", "copy", held, "--post")):
        called = call(*command, "--json")
        assert called.code == 2, command
        assert "E-CONN-SECOND" in called.out
    assert call("check", "copy").code == 2
    assert len(shop.sandbox.economic.writes()) == written
    assert call("sync", "nordlys").code == 1, "the first goes on, with what it holds"
