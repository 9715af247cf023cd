"""Connecting: every status with its remedy, the link to the grant, and the grant's way back into its file."""

import contextlib
import io
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cloudify_pipeline.catalogue import entry
from cloudify_pipeline.errors import NotAuthorised
from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.cli.conftest import Call
from cloudify_pipeline_tests.whole_runs.conftest import Company

PUBLIC = "pub-Token_1"


def _well(shop: Company) -> None:
    assert shop


def _refused_write(shop: Company) -> None:
    shop.sandbox.economic.set_read_only_licence(True)
    with pytest.raises(NotAuthorised):
        shop.sync()


@dataclass(frozen=True)
class Case:
    """What befalls the ledger's or Stripe's side, and what is said of it."""

    befalls: Callable[[Company], object]
    status: str
    code: str | None
    side: str = "ledger"
    exits: int = 3
    remedy: str | None = None


CASES = {
    "both answer": Case(_well, "Connected", None, exits=0),
    "the app lacks the role": Case(lambda shop: shop.sandbox.economic.set_fact("role", "Bookkeeping"), "Degraded", "E-CONN-ROLE"),
    "the key lacks a right": Case(
        lambda shop: shop.sandbox.stripe.rights.discard("rak_event_read"), "Degraded", "E-CONN-ROLE", "stripe"
    ),
    "the grant was withdrawn": Case(lambda shop: shop.sandbox.economic.revoke_grant(), "Expired", "E-CONN-GRANT"),
    "the key was withdrawn": Case(
        lambda shop: shop.sandbox.faults_stripe.add(Fault(kind="revoked", times=None)), "Expired", "E-CONN-GRANT", "stripe"
    ),
    "the last write was refused": Case(_refused_write, "ReadOnlyLicence", "E-CONN-READONLY"),
    "the ledger fails": Case(
        lambda shop: shop.sandbox.faults_economic.add(Fault(status=500, times=None)),
        "NotConnected",
        "E-SERVER",
        remedy="See that this machine has a network",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_status_is_told_with_its_remedy(shop: Company, call: Call, name: str) -> None:
    case = CASES[name]
    assert call("connect").code == 0, "the books of the first contact"
    case.befalls(shop)
    called = call("connect", "--json")
    found = called.document
    assert (called.code, found["status"], found[case.side]["status"]) == (case.exits, case.status, case.status)
    assert [(one["side"], one["code"]) for one in found["findings"]] == ([(case.side, case.code)] if case.code else [])
    assert re.match(r"agreement 1234567, Nordlys Software ApS, since \d{4}-\d\d-\d\d$", found["ledger"]["facts"]["bound to"])
    words = call("connect")
    assert words.out.startswith(f"nordlys: {case.status}\n")
    if case.code:
        assert f"error: {case.code}: " in words.out
        assert f"What to do: {case.remedy or entry(case.code).remedy}" in words.out


def test_a_key_that_may_not_read_disputes_works_until_there_is_one(shop: Company, call: Call) -> None:
    shop.sandbox.stripe.rights.discard("rak_dispute_read")
    called = call("connect", "--json")
    assert called.code == 0
    (finding,) = called.document["findings"]
    assert (finding["severity"], finding["code"], "Disputes" in finding["message"]) == ("warning", "E-CONN-ROLE", True)


def test_a_licence_that_was_upgraded_is_known_by_the_next_write(shop: Company, call: Call) -> None:
    _refused_write(shop)
    refused = call("connect", "--json").document
    assert "on 2026-11-02 09:00 UTC" in refused["findings"][0]["message"]
    assert refused["next"] == "cloudify sync nordlys"
    shop.sandbox.economic.set_read_only_licence(False)
    assert call("connect", "--json").document["status"] == "ReadOnlyLicence"
    shop.sync()
    assert call("connect", "--json").document["status"] == "Connected"


def test_a_silent_side_is_asked_twice(shop: Company, call: Call) -> None:
    shop.sandbox.faults_economic.add(Fault(status=500, times=None))
    shop.sandbox.faults_stripe.add(Fault(status=500, times=None))
    found = call("connect", "--json").document
    assert {one["side"]: one["code"] for one in found["findings"]} == {"stripe": "E-SERVER", "ledger": "E-SERVER"}
    assert len(shop.sandbox.faults_economic.fired) == 2
    assert len(shop.sandbox.faults_stripe.fired) == 2


# -- the grant ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def grant(shop: Company) -> Path:
    """The file where the connection expects the grant; it is not there yet."""
    file = shop.folder / "grant"
    shop.configure(economic={"agreement_grant_token": {"file": str(file)}})
    shop.connection().log.close()
    return file


def test_without_a_grant_the_call_that_gives_the_link_is_named(grant: Path, call: Call) -> None:
    called = call("connect", "--json")
    found = called.document
    assert (called.code, found["status"], found["stripe"]["status"]) == (2, "NotConnected", "Connected")
    assert found["install_link"] is None
    (finding,) = found["findings"]
    assert (finding["code"], finding["side"]) == ("E-SETTINGS", "ledger")
    for part in ("cloudify connect nordlys --app-public-token TOKEN", "app's page in the ledger's developer area", str(grant)):
        assert part in finding["remedy"]


def test_with_the_public_token_the_link_is_printed(grant: Path, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing else need be there yet: not even Stripe's key.
    monkeypatch.delenv("CLOUDIFY_DEMO_STRIPE_KEY")
    called = call("connect", "nordlys", "--app-public-token", PUBLIC, "--json")
    assert called.code == 2
    link = f"https://secure.e-conomic.com/secure/api1/requestaccess.aspx?appPublicToken={PUBLIC}"
    assert called.document["install_link"] == link
    assert [one["side"] for one in called.document["findings"]] == ["stripe", "ledger"]
    assert f"Grant access: {link}\n" in call("connect", "--app-public-token", PUBLIC).out


def test_a_withdrawn_grant_gets_the_link_too_and_a_good_one_none(shop: Company, call: Call) -> None:
    assert call("connect", "--app-public-token", PUBLIC, "--json").document["install_link"] is None
    shop.sandbox.economic.revoke_grant()
    assert PUBLIC in call("connect", "--app-public-token", PUBLIC, "--json").document["install_link"]


class Browser(io.StringIO):
    """Follows the link that is written to it to its redirect address, as the ledger's page does once access is granted."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token
        self.pages: list[str] = []

    def write(self, text: str) -> int:
        for link in re.findall(r"https://\S+redirectUrl=\S+", text):
            (back,) = parse_qs(urlsplit(link).query)["redirectUrl"]
            assert httpx.URL(back).host == "127.0.0.1"
            self.pages.append(httpx.get(f"{back}?token={self.token}", trust_env=False).text)
        return super().write(text)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("before", [None, "withdrawn-token"])
def test_the_grant_is_received_kept_and_checked(
    shop: Company, grant: Path, call: Call, before: str | None, as_json: bool
) -> None:
    if before:
        grant.write_text(before)
    token = shop.sandbox.agreement_grant_token
    browser = Browser(token)
    with contextlib.redirect_stderr(browser):
        called = call("connect", "--app-public-token", PUBLIC, "--receive", *(["--json"] if as_json else []))
    assert called.code == 0
    if as_json:
        assert (called.document["status"], called.document["install_link"]) == ("Connected", None)
    assert grant.read_text().strip() == token
    assert stat.S_IMODE(grant.stat().st_mode) == 0o600
    (page,) = browser.pages
    assert "go back to the terminal" in page
    assert token not in called.out + browser.getvalue() + page
    assert f"The grant is kept in {grant}." in browser.getvalue()


def test_a_grant_of_other_books_is_kept_and_refused(shop: Company, grant: Path, call: Call) -> None:
    with contextlib.redirect_stderr(Browser("somebody-elses")):
        called = call("connect", "--app-public-token", PUBLIC, "--receive", "--json")
    assert (called.code, called.document["status"]) == (3, "Expired")


def test_when_no_grant_comes_in_time_nothing_is_changed(grant: Path, call: Call) -> None:
    called = call("connect", "--app-public-token", PUBLIC, "--receive", "--timeout", "0")
    assert called.code == 3
    assert "no grant came within 0 seconds" in called.err
    assert not grant.exists()


def test_a_variable_cannot_be_received_into(shop: Company, call: Call) -> None:
    called = call("connect", "--app-public-token", PUBLIC, "--receive", "--json")
    assert called.code == 2
    (problem,) = called.document["error"]["problems"]
    assert "{file: PATH}" in problem
    assert "redirectUrl" not in called.err


@pytest.mark.parametrize("lacking", ["--app-public-token", "--port"])
def test_a_call_that_cannot_receive_says_why(shop: Company, grant: Path, call: Call, lacking: str) -> None:
    taken = str(httpx.URL(shop.sandbox.stripe_url).port)
    arguments = (
        ("--receive",) if lacking == "--app-public-token" else ("--receive", f"--app-public-token={PUBLIC}", "--port", taken)
    )
    called = call("connect", *arguments, "--json")
    assert called.code == 2
    assert called.document["error"]["problems"][0].startswith(lacking)
    assert not grant.exists()


def test_a_folder_that_is_not_there_is_told_before_the_link(shop: Company, call: Call) -> None:
    shop.configure(economic={"agreement_grant_token": {"file": str(shop.folder / "nowhere" / "grant")}})
    shop.connection().log.close()
    called = call("connect", "--app-public-token", PUBLIC, "--receive")
    assert called.code == 2
    assert "a folder that exists and is writable" in called.err
    assert "redirectUrl" not in called.err


# -- health -------------------------------------------------------------------------------------------------------------


def test_what_the_numbers_point_to_is_told(shop: Company, call: Call) -> None:
    found = call("connect", "--json").document
    assert found["points_to"]["customers.defaults.group"] == "1 (Indenlandske kunder)"
    assert found["points_to"]["products.no_product"] == "STRIPE (Stripe-salg)"
    words = call("connect").out
    assert re.search(r"Settings +write mode +write *\n +customers\.defaults\.group +1 \(Indenlandske kunder\)", words)


@pytest.mark.parametrize(("side", "who"), [("economic", "the ledger"), ("stripe", "Stripe")])
@pytest.mark.parametrize("minutes", [6, -6])
def test_a_clock_that_differs_is_a_warning_of_its_side(shop: Company, call: Call, side: str, who: str, minutes: int) -> None:
    shop.sandbox.ahead[side] = timedelta(minutes=minutes)
    called = call("connect", "--json")
    assert (called.code, called.document["status"]) == (0, "Connected")
    (finding,) = called.document["findings"]
    assert (finding["severity"], finding["code"]) == ("warning", "E-CLOCK")
    assert finding["message"] == f"the clock of {who} is 6 minutes {'ahead of' if minutes > 0 else 'behind'} ours"


def test_another_base_currency_stops_runs_until_somebody_looked(shop: Company, call: Call) -> None:
    assert call("connect").code == 0
    shop.sandbox.economic.set_fact("base_currency", "EUR")
    refused = call("connect", "--json")
    assert refused.code == 3
    assert [one["code"] for one in refused.document["findings"]] == ["E-CONN-CURRENCY"]
    assert call("check", "--json").document["error"]["code"] == "E-CONN-CURRENCY"
    assert call("connect", "--rebind", "--json").document["status"] == "Connected"
    assert call("connect", "--json").document["findings"] == []


def test_numbers_that_point_nowhere_are_warnings(shop: Company, call: Call) -> None:
    shop.sandbox.economic.delete("customer-groups", 1)
    found = call("connect", "--json").document
    assert found["points_to"]["customers.defaults.group"] == "1: not in the ledger"
    assert [(one["severity"], one["code"]) for one in found["findings"]] == [("warning", "E-REFERENCE")]
