"""No secret leaves, whatever goes wrong: not to stdout, stderr, logs, metadata, events, tables or the support bundle."""

import logging
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudify_pipeline.sandbox.faults import Fault
from cloudify_pipeline_tests.cli.conftest import Call, Load, call, load, shop
from cloudify_pipeline_tests.whole_runs.conftest import Company, company

pytestmark = pytest.mark.exhaustive

__all__ = ["call", "company", "load", "shop"]

WHOLE = (("sync", "--verbose"), ("connect",), ("connect", "--json"), ("check",), ("status",), ("settings", "show"))
ASKED = (("connect",), ("connect", "--json"))
"""Where nothing listens a run would wait for minutes, and says no more than this."""
LITERAL = "rk_live_51QxLiteralThatNobodyMayRepeat"


class Environment:
    """Sets variables, and knows every secret that was ever in one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, given: Iterable[str]) -> None:
        self._monkeypatch = monkeypatch
        self.secrets = [*given, LITERAL]

    def __call__(self, variable: str, value: str) -> None:
        self._monkeypatch.setenv(variable, value)
        self.secrets += [value, *value.splitlines()]


@dataclass(frozen=True)
class Case:
    befalls: Callable[[Company, Environment], object]
    commands: tuple[tuple[str, ...], ...] = WHOLE
    code: str = ""
    """What the commands should name, so that the fault is known to have struck."""


def _refused(shop: Company, _: Environment) -> None:
    shop.sandbox.faults_economic.add(Fault("POST", "drafts", "status", status=400, times=None))


def _nothing_listens(shop: Company, _: Environment) -> None:
    file = shop.folder / "nordlys.yaml"
    text = file.read_text(encoding="utf-8").replace(shop.sandbox.economic_url, "http://127.0.0.1:9")
    file.write_text(text.replace(shop.sandbox.stripe_url, "http://127.0.0.1:9"), encoding="utf-8")


def _written(line: str) -> Callable[[Company, Environment], None]:
    """The connection file with `line` where the key's reference stood."""

    def write(shop: Company, _: Environment) -> None:
        file = shop.folder / "nordlys.yaml"
        kept = [row for row in file.read_text(encoding="utf-8").splitlines() if "STRIPE_KEY" not in row and "api_key:" not in row]
        file.write_text("\n".join([row.replace("stripe:", f"stripe:\n  {line}", 1) for row in kept]), encoding="utf-8")

    return write


CASES = {
    "all is well": Case(lambda shop, env: None, code="Connected"),
    "the grant is withdrawn": Case(lambda shop, env: shop.sandbox.economic.revoke_grant(), code="E-CONN-GRANT"),
    "the role is too small": Case(lambda shop, env: shop.sandbox.economic.set_role("Bookkeeping"), code="E-CONN-ROLE"),
    "the Stripe key is withdrawn": Case(
        lambda shop, env: shop.sandbox.faults_stripe.add(Fault(kind="revoked", times=None)), code="E-CONN-GRANT"
    ),
    "the Stripe key lacks a right": Case(lambda shop, env: shop.sandbox.stripe.rights.clear(), code="E-CONN-ROLE"),
    "writes are refused": Case(_refused, code="failed"),
    "nothing listens": Case(_nothing_listens, ASKED, code="E-SERVER"),
    "a wrong token": Case(lambda shop, env: env("CLOUDIFY_DEMO_GRANT_TOKEN", "wrong-grant-Token-123"), code="E-CONN-GRANT"),
    "a wrong key": Case(lambda shop, env: env("CLOUDIFY_DEMO_STRIPE_KEY", "rk_test_WrongKey4711xyz"), code="E-CONN-GRANT"),
    "a token of two lines": Case(
        lambda shop, env: env("CLOUDIFY_DEMO_GRANT_TOKEN", "first-Line-999\nsecond-Line-999"), ASKED, "several lines"
    ),
    "a token beyond ASCII": Case(lambda shop, env: env("CLOUDIFY_DEMO_APP_SECRET_TOKEN", "hemmelig-nøgle-æøå-77"), ASKED),
    "a key of two lines": Case(
        lambda shop, env: env("CLOUDIFY_DEMO_STRIPE_KEY", "rk_test_first4711\nrk_test_second4711"), ASKED, "several lines"
    ),
    "a key beyond ASCII": Case(lambda shop, env: env("CLOUDIFY_DEMO_STRIPE_KEY", "rk_test_nøgle4711"), ASKED),
    "a literal in the file": Case(_written(f"api_key: {LITERAL}"), code="E-SETTINGS"),
    "a literal in broken YAML": Case(_written(f'api_key: "{LITERAL}'), code="E-SETTINGS"),
    "a literal as a section": Case(_written(f"api_key: [{LITERAL}, {{x: 1}}]"), code="E-SETTINGS"),
    "a literal as a key": Case(_written(f"{LITERAL}: 1"), code="E-SETTINGS"),
}


@pytest.fixture
def environment(company: Company, monkeypatch: pytest.MonkeyPatch) -> Environment:
    return Environment(monkeypatch, company.sandbox.environment.values())


@pytest.fixture
def ready(shop: Company, load: Load, caplog: pytest.LogCaptureFixture) -> Iterator[Company]:
    """The shop, with the code location loaded for it and every logger open."""
    load()
    with caplog.at_level(logging.DEBUG):
        yield shop


def files_with(folder: Path, secret: str) -> list[str]:
    """Files below `folder` that hold `secret`; archives are looked into."""
    found = []
    for file in folder.rglob("*"):
        if not file.is_file():
            continue
        contents = [file.read_bytes()]
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        if any(secret.encode() in content for content in contents):
            found.append(str(file))
    return found


@pytest.mark.parametrize("name", CASES)
def test_no_secret_leaves_whatever_goes_wrong(
    ready: Company, call: Call, environment: Environment, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    case, home = CASES[name], ready.folder.parent / "home"
    case.befalls(ready, environment)
    said = ""
    for command in (*case.commands, ("support-bundle", "nordlys", str(home / "help"))):
        called = call(*command)
        said += called.out + called.err
    assert case.code in said
    said += caplog.text
    assert home.is_dir()
    secrets = environment.secrets
    assert [secret for secret in secrets if secret in said] == []
    assert [secret for secret in secrets if secret.encode("unicode_escape").decode() in said] == []
    assert {secret: found for secret in secrets if (found := files_with(home, secret))} == {}
