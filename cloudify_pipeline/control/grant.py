"""The ledger owner's grant: the page where it is given, the address it comes back to, the file it is kept in."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from cloudify_pipeline.control.opened import GrantAccess, OpenConnection
from cloudify_pipeline.control.redirect import Redirect
from cloudify_pipeline.errors import NotAuthorised, SettingsError, SettingsProblem

PUBLIC_TOKEN = "--app-public-token"  # noqa: S105
WHERE_PUBLIC = "the app's public token stands on the app's page in the ledger's developer area, and is no secret"


def missing(access: GrantAccess | None) -> bool:
    """Whether the grant's variable or file holds nothing yet."""
    if access is None:
        return False
    try:
        access.grant.reveal(access.key)
    except SettingsError:
        return True
    return False


def link(access: GrantAccess | None, app_public_token: str | None) -> str | None:
    """The page that shows the grant to be copied; None without the app's public token."""
    return access.link(app_public_token, None) if access is not None and app_public_token else None


def how_to_grant(connection: str, access: GrantAccess) -> str:
    """What to call for the link, and where what comes of it belongs."""
    call = f"cloudify connect {connection} {PUBLIC_TOKEN} TOKEN"
    if access.grant.kind == "file":
        where = f"with --receive it also takes the grant and keeps it in {access.grant.name}"
    else:
        where = f"put the grant that the page shows into the environment variable {access.grant.name}"
    return f"{call} prints the link where access is granted ({WHERE_PUBLIC}); {where}."


def receive_grant(
    opened: OpenConnection,
    app_public_token: str | None,
    *,
    announce: Callable[[str], None],
    port: int = 0,
    timeout: float = 300,
) -> Path:
    """Wait up to `timeout` seconds for the grant and keep it in its file, which is given back.

    `announce` gets the link to open once the address it returns to answers; port 0 takes a free one.

    Raises:
        SettingsError: the grant has no file to be kept in, or the call lacks the app's public token; nothing was started.
        NotAuthorised: no grant came in time.
    """
    access, file = _ready(opened, app_public_token)
    with _listening(port) as redirect:
        announce(access.link(str(app_public_token), redirect.url))
        token = redirect.wait(timeout)
    if token is None:
        raise NotAuthorised(f"no grant came within {timeout:g} seconds; nothing was changed", code="E-CONN-GRANT")
    try:
        keep(file, token)
    except OSError as error:
        allowed = f"the file cannot be written ({error.strerror}): make its folder writable and grant access again"
        raise SettingsError("connection", [SettingsProblem(access.key, str(file), allowed)]) from None
    return file


def keep(file: Path, token: str) -> None:
    """Put `token` into `file`, which only its owner may read: the whole old content or the whole new one, never a part."""
    # mkstemp makes the file 0600 from the start; a later chmod would leave a moment in which others can open it.
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    written = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"{token}\n")
            stream.flush()
            os.fsync(stream.fileno())
        written.replace(file)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _ready(opened: OpenConnection, app_public_token: str | None) -> tuple[GrantAccess, Path]:
    """Everything that can be known to be wrong before a person is sent to a page."""
    access = opened.grant_access
    if access is None:
        allowed = "this ledger gives no access by a link; connect without --receive"
        raise SettingsError("the call", [SettingsProblem("--receive", opened.settings.ledger, allowed)])
    problems = []
    if not app_public_token:
        problems.append(SettingsProblem(PUBLIC_TOKEN, "nothing", f"--receive needs it; {WHERE_PUBLIC}"))
    # A link in the place of the file stays a link: what is replaced is the file it leads to.
    file = Path(access.grant.name).resolve()
    if access.grant.kind != "file":
        allowed = f"a variable cannot be filled from here: write {access.key}: {{file: PATH}} to receive the grant"
        problems.append(SettingsProblem(access.key, repr(access.grant), allowed))
    elif file.is_dir() or not file.parent.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        allowed = "it must name a file in a folder that exists and is writable"
        problems.append(SettingsProblem(access.key, repr(access.grant), allowed))
    if problems:
        raise SettingsError("the call", problems)
    return access, file


def _listening(port: int) -> Redirect:
    try:
        return Redirect(port)
    except OSError as error:
        allowed = f"cannot be listened on ({error.strerror}); leave --port out to take a free one"
        raise SettingsError("the call", [SettingsProblem("--port", str(port), allowed)]) from None
