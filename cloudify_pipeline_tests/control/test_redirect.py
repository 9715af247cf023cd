"""The grant's way back: only the address that was given out takes a token, on loopback, and nothing is said of it."""

import socket
import stat
from pathlib import Path

import httpx
import pytest

from cloudify_pipeline.control.grant import keep
from cloudify_pipeline.control.redirect import Redirect

TOKEN = "gr4nt-T0ken"
ARRIVES = 5.0
"""The page is answered before the token is handed over, so a client may be back a moment earlier; nothing waits longer."""


def get(url: str) -> httpx.Response:
    return httpx.get(url, trust_env=False, timeout=5)


def test_the_first_token_at_the_given_address_is_the_one() -> None:
    with Redirect() as redirect:
        assert get(f"{redirect.url}?token={TOKEN}&token=other").status_code == 200
        assert get(f"{redirect.url}?token=later").status_code == 200
        assert redirect.wait(ARRIVES) == TOKEN


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("", 400),
        ("?code=abc", 400),
        ("?token=", 400),
        ("?token=two%20words", 400),
        ("?token=line%0Abreak", 400),
        (f"?token={'x' * 513}", 400),
        ("/more?token=abc", 404),
        ("x?token=abc", 404),
        ("/../?token=abc", 404),
    ],
)
def test_anything_else_is_answered_and_not_taken(address: str, status: int) -> None:
    with Redirect() as redirect:
        assert get(redirect.url + address).status_code == status
        root = redirect.url.rpartition("/")[0]
        assert get(f"{root}/?token=abc").status_code == 404
        assert get(f"{root}/favicon.ico").status_code == 404
        assert redirect.wait(0) is None
        get(f"{redirect.url}?token={TOKEN}")
        assert redirect.wait(ARRIVES) == TOKEN, "it still waits for the right one"


def test_only_this_machine_can_reach_it_and_only_while_it_is_open() -> None:
    with Redirect() as redirect:
        url = httpx.URL(redirect.url)
        assert url.host == "127.0.0.1"
    with pytest.raises(httpx.ConnectError):
        get(redirect.url)


def test_two_addresses_have_nothing_in_common() -> None:
    with Redirect() as one, Redirect() as other:
        assert one.url.rpartition("/")[2] != other.url.rpartition("/")[2]
        assert len(one.url.rpartition("/")[2]) == 43, "32 random bytes"


def test_a_connection_that_says_nothing_keeps_nobody_waiting() -> None:
    with Redirect() as redirect:
        url = httpx.URL(redirect.url)
        with socket.create_connection((url.host, url.port or 0)):
            assert get(f"{redirect.url}?token={TOKEN}").status_code == 200
            assert redirect.wait(ARRIVES) == TOKEN


def test_nothing_is_logged_and_the_page_does_not_repeat_the_token(capfd: pytest.CaptureFixture[str]) -> None:
    with Redirect() as redirect:
        answer = get(f"{redirect.url}?token={TOKEN}")
        get(f"{redirect.url}/x?token={TOKEN}")
        httpx.post(f"{redirect.url}?token={TOKEN}", trust_env=False)
    assert TOKEN not in answer.text + str(answer.headers)
    assert answer.headers["cache-control"] == "no-store"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("before", [None, "old-token"])
def test_a_kept_grant_is_its_owners_alone(tmp_path: Path, before: str | None) -> None:
    file = tmp_path / "grant"
    if before is not None:
        file.write_text(before)
        file.chmod(0o644)
    keep(file, TOKEN)
    assert file.read_text().strip() == TOKEN
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file], "nothing is left beside it"


def test_a_grant_that_cannot_be_kept_leaves_the_old_state(tmp_path: Path) -> None:
    taken = tmp_path / "grant"
    (taken / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="grant"):
        keep(taken, TOKEN)
    assert list(tmp_path.iterdir()) == [taken]
