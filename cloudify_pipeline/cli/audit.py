"""`cloudify audit`: the chain that shows whether anybody changed the log, past days, and the archive."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer

from cloudify_pipeline.cli.names import chosen, opening
from cloudify_pipeline.cli.output import ATTENTION, COPENHAGEN, DONE, AsJson, local, say, show_json, table
from cloudify_pipeline.cli.status import counts_line, documents_table
from cloudify_pipeline.control import audit as control
from cloudify_pipeline.control.audit_export import export
from cloudify_pipeline.control.audit_restore import anchor_of, read_manifest, restore
from cloudify_pipeline.control.opened import OpenConnection
from cloudify_pipeline.errors import SettingsError, SettingsProblem
from cloudify_pipeline.posting.log.verify import Anchor

Words = Annotated[
    list[str], typer.Argument(metavar="[NAME] verify|export DIR|restore DIR|as-of DATE", help="The connection, and what to do.")
]
AnchorText = Annotated[
    str | None, typer.Option("--anchor", help="verify: SEQ:HASH, or the folder of an archive, that was kept elsewhere.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Rows to show; --json lists all.")]


def audit(words: Words, anchor: AnchorText = None, limit: Limit = 100, as_json: AsJson = False) -> int:
    """The audit chain: whether it is whole, an archive with manifest, its restoring, and the documents as of a past day."""
    name, action, given = _read(words)
    with opening(chosen(name)) as opened:
        match action:
            case "verify":
                return _verify(opened, _anchor(anchor), as_json=as_json)
            case "export":
                return _export(opened, Path(given), as_json=as_json)
            case "restore":
                return _restore(opened, Path(given), as_json=as_json)
            case _:
                return _as_of(opened, _instant(given), limit, as_json=as_json)


def _verify(opened: OpenConnection, anchor: Anchor | None, *, as_json: bool) -> int:
    found = control.verified(opened, anchor=anchor)
    if as_json:
        show_json(found)
    else:
        _show_verified(found)
    return DONE if found["whole"] else ATTENTION


def _show_verified(found: Mapping[str, Any]) -> None:
    if found["findings"]:
        rows = [(one.seq, one.table, one.subject, one.what) for one in found["findings"]]
        table(f"Not as it was written: {found['connection']}", ("Entry>", "Table", "About", "What is wrong"), rows)
        if found["found"] > len(rows):
            say(f"… and {found['found'] - len(rows)} more.")
        where = "" if found["first_bad"] is None else f" The first entry concerned is {found['first_bad']}."
        say(f"The log of {found['connection']} was changed past this program.{where}", style="red")
    elif found["head"] is None:
        say("Nothing is in the log yet.")
    else:
        head = found["head"]
        say(f"Whole: {found['entries']} entries since {local(found['begins_at'])}; every table is what they tell.", style="green")
        if found["adopted"]:
            say(f"{found['adopted']} rows are older than the chain: it vouches for them since it began.")
        say(f"Keep this elsewhere, to show later that the chain was not written anew: --anchor {head.seq}:{head.hash}")


def _export(opened: OpenConnection, folder: Path, *, as_json: bool) -> int:
    manifest = export(opened, folder)
    if as_json:
        show_json(manifest)
    else:
        _show_manifest(f"Archive of {opened.name} in {folder}", manifest)
    return DONE


def _restore(opened: OpenConnection, folder: Path, *, as_json: bool) -> int:
    manifest = restore(opened, folder)
    found = control.verified(opened, anchor=anchor_of(manifest))
    if as_json:
        show_json({"restored": manifest, "verified": found})
    else:
        _show_manifest(f"Restored into the log of {opened.name}", manifest)
        _show_verified(found)
    return DONE if found["whole"] else ATTENTION


def _show_manifest(title: str, manifest: Mapping[str, Any]) -> None:
    rows = ((name, one["rows"], ", ".join(one["files"])) for name, one in manifest["tables"].items())
    table(title, ("Table", "Rows>", "Files"), rows)
    if manifest["chain"]:
        say(f"The chain ends with entry {manifest['chain']['seq']}: {manifest['chain']['hash']}")


def _as_of(opened: OpenConnection, instant: datetime, limit: int, *, as_json: bool) -> int:
    found = control.as_of(opened, instant)
    if as_json:
        show_json(found)
        return DONE
    documents = found["documents"]
    documents_table(f"Documents of {opened.name} as of {local(instant)}", documents[:limit])
    if len(documents) > limit:
        say(f"… and {len(documents) - limit} more; --limit shows more rows, --json lists all.")
    say(counts_line(found["counts"]))
    if found["note"]:
        say(found["note"], style="yellow")
    return DONE


_ACTIONS: Mapping[str, str | None] = {"verify": None, "export": "DIR", "restore": "DIR", "as-of": "DATE"}


def _read(words: list[str]) -> tuple[str | None, str, str]:
    """Connection, action, and what the action is given."""
    name: str | None = None
    rest = list(words)
    if rest[0] not in _ACTIONS or (len(rest) > 1 and rest[1] in _ACTIONS):
        name = rest.pop(0)
    wanted = _ACTIONS.get(rest[0], "") if rest else ""
    if wanted == "" or len(rest) != (1 if wanted is None else 2):
        allowed = "[NAME] and verify, export DIR, restore DIR or as-of DATE"
        raise SettingsError("the call", [SettingsProblem("audit", " ".join(words), allowed)])
    return name, rest[0], rest[1] if wanted else ""


def _anchor(text: str | None) -> Anchor | None:
    if text is None:
        return None
    if Path(text).exists():
        return anchor_of(read_manifest(Path(text) if Path(text).is_dir() else Path(text).parent))
    seq, _, digest = text.partition(":")
    if not seq.isdigit() or len(digest) != 64:
        raise SettingsError(
            "the call", [SettingsProblem("--anchor", text, "SEQ:HASH as verify shows it, or an archive's folder")]
        )
    return Anchor(int(seq), digest)


def _instant(text: str) -> datetime:
    """The end of a day in Copenhagen, or an instant; one without a zone is Copenhagen's time."""
    read: Callable[[str], date] = date.fromisoformat if len(text) == 10 else datetime.fromisoformat
    try:
        when = read(text)
    except ValueError as wrong:
        allowed = "a day (2026-12-31) or an instant (2026-12-31T12:00)"
        raise SettingsError("the call", [SettingsProblem("DATE", text, allowed)]) from wrong
    if isinstance(when, datetime):
        return when if when.tzinfo else when.replace(tzinfo=COPENHAGEN)
    return datetime.combine(when, time.max, COPENHAGEN)
