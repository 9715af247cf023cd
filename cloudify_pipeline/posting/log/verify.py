"""Whether the audit chain is whole, and whether the log's tables are what it tells of them."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, select

from cloudify_pipeline.posting.log import evidence
from cloudify_pipeline.posting.log import schema as t
from cloudify_pipeline.posting.log.chain import GENESIS, canonical, entry_hash
from cloudify_pipeline.posting.log.database import snapshot
from cloudify_pipeline.posting.log.rows import bare, read

NAMED = 1000
"""Findings that are named; one deleted million need not be listed."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Entry `seq` had this hash when the anchor was taken; kept elsewhere, it shows that a chain was written anew."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was written. `seq` is the entry concerned, or the one that tells otherwise."""

    seq: int | None
    table: str
    subject: str
    what: str


@dataclass(slots=True)
class Verified:
    """What a verification found. `adopted` counts rows that are older than the chain; it vouches for them from then on."""

    entries: int = 0
    head: Anchor | None = None
    begins_at: str | None = None
    adopted: int = 0
    found: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def first_bad(self) -> int | None:
        """The first entry that something is wrong with; of the chain itself, when it is not whole."""
        broken = [one for one in self.findings if one.table in {"audit", "audit_heads"}]
        return min((one.seq for one in broken or self.findings if one.seq is not None), default=None)

    def add(self, seq: int | None, table: str, subject: str, what: str) -> None:
        """Name something that is wrong."""
        self.note(Finding(seq, table, subject, what))

    def note(self, finding: Finding) -> None:
        """As :meth:`add`."""
        self.found += 1
        if len(self.findings) < NAMED:
            self.findings.append(finding)


_TELLS = {
    "binding": "bindings",
    "stripe_binding": "stripe_bindings",
    "identity": "identities",
    "record": "records",
    "person": "accepted",
    "vat_number": "vat_numbers",
    "vat_sale": "vat_sales",
    "decision": "decisions",
    "check": "settings_checks",
}
_TABLES = (
    "bindings", "stripe_bindings", "identities", "operations", "attempts", "records", "accepted", "vat_numbers", "vat_sales",
    "decisions", "settings_checks",
)  # fmt: skip


@dataclass(slots=True)
class _Told:
    """The last entry on each row: table → row's key → (seq, digest of its facts, operation of an attempt)."""

    rows: dict[str, dict[Any, tuple[int, bytes, Any]]] = field(default_factory=lambda: {name: {} for name in _TABLES})
    ends: dict[Any, tuple[int, bytes, Any]] = field(default_factory=dict)

    def hear(self, seq: int, entry: str, subject: str, payload: str) -> None:
        table = _TELLS.get(entry)
        if table is not None:
            self.rows[table][subject] = (seq, _digest(payload), None)
        elif entry == "intent":
            facts = orjson.loads(payload)
            number = facts.pop("id")
            self.ends[number] = (seq, _ended(facts), None)
            self.rows["operations"][number] = (seq, _bare_digest(facts), None)
        elif entry == "outcome":
            facts = orjson.loads(payload)
            attempt, operation = facts.pop("id"), facts.pop("operation_id")
            self.ends[operation] = (seq, _ended(facts), None)
            self.rows["attempts"][attempt] = (seq, _bare_digest(facts), operation)
        elif entry == "restored":
            self._shift(orjson.loads(payload))

    def _shift(self, moved: Mapping[str, Any]) -> None:
        """Restored beside other connections, operations and attempts have got other ids."""
        by, of = moved["operations"], moved["attempts"]
        self.rows["operations"] = {number + by: told for number, told in self.rows["operations"].items()}
        self.rows["attempts"] = {n + of: (seq, digest, op + by) for n, (seq, digest, op) in self.rows["attempts"].items()}
        self.ends = {number + by: told for number, told in self.ends.items()}


def verify(engine: Engine, connection: str, *, anchor: Anchor | None = None) -> Verified:
    """Follow the chain of `connection` and hold every table against it; with `anchor`, also the chain against that."""
    found = Verified()
    with snapshot(engine) as db:
        told = _follow(db, connection, found, anchor)
        _head(db, connection, found)
        if found.entries == 0:
            for name, count in evidence.sizes(db, connection).items():
                if count:
                    found.add(
                        None, name, connection, f"{count} rows and no chain: it begins with the next run, or was taken away"
                    )
            return found
        for table, rows in _standing(db, connection):
            for one in _compare(db, connection, table, rows, told):
                found.note(one)
    found.findings.sort(key=lambda one: (one.table != "audit", one.seq or 0))
    return found


def _follow(db: Connection, connection: str, found: Verified, anchor: Anchor | None) -> _Told:
    told = _Told()
    expected, previous = 1, GENESIS
    anchored = anchor is None
    query = bare(db, t.audit).where(t.audit.c.connection == connection).order_by(t.audit.c.seq)
    for row in read(db, t.audit, query):
        seq, subject = row["seq"], f"{row['entry']} {row['subject']}"
        if not isinstance(seq, int):
            found.add(expected, "audit", subject, f"entry {expected} has “{seq}” for a number")
            continue
        if seq != expected:
            missing = f"entry {expected} is" if seq == expected + 1 else f"entries {expected} to {seq - 1} are"
            found.add(expected, "audit", subject, f"{missing} missing")
        elif row["previous"] != previous:
            found.add(seq, "audit", subject, f"entry {seq} does not follow entry {seq - 1}: one of them was replaced")
        if row["hash"] != entry_hash(row):
            found.add(seq, "audit", subject, f"entry {seq} was changed")
        else:
            told.hear(seq, row["entry"], row["subject"], row["payload"])
        if anchor is not None and seq == anchor.seq:
            anchored = True
            if row["hash"] != anchor.hash:
                found.add(seq, "audit", subject, f"entry {seq} is not the one that was anchored: the chain was written anew")
        if row["entry"] == "adopted":
            found.adopted = sum(orjson.loads(row["payload"]).values()) if row["hash"] == entry_hash(row) else found.adopted
        found.begins_at = found.begins_at or row["at"]
        found.entries += 1
        found.head = Anchor(seq, row["hash"])
        expected, previous = seq + 1, row["hash"]
    if not anchored and anchor is not None:
        found.add(expected, "audit", connection, f"entry {anchor.seq} was anchored and the chain ends with entry {expected - 1}")
    return told


def _head(db: Connection, connection: str, found: Verified) -> None:
    head = next(read(db, t.audit_heads, bare(db, t.audit_heads).where(t.audit_heads.c.connection == connection)), None)
    last = found.head.seq if found.head else 0
    if head is None:
        if found.entries:
            found.add(last, "audit_heads", connection, "the head of the chain is missing")
    elif head["seq"] != last:
        gone = isinstance(head["seq"], int) and head["seq"] > last
        what = (
            f"entries {last + 1} to {head['seq']} are missing"
            if gone
            else f"the head says entry {head['seq']}, the last is {last}"
        )
        found.add(last + 1 if gone else last, "audit" if gone else "audit_heads", connection, what)
    elif head["hash"] != (found.head.hash if found.head else GENESIS):
        found.add(last, "audit_heads", connection, f"the head has another hash than entry {last}")


def _standing(db: Connection, connection: str) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    for name in _TABLES:
        table = t.metadata.tables[name]
        if name == "attempts":
            mine = select(t.operations.c.id).where(t.operations.c.connection == connection)
            yield name, read(db, table, bare(db, table).where(table.c.operation_id.in_(mine)))
        else:
            yield name, read(db, table, bare(db, table).where(table.c.connection == connection))


def _compare(db: Connection, connection: str, name: str, rows: Iterator[dict[str, Any]], told: _Told) -> Iterator[Finding]:
    expected = told.rows[name]
    for row in rows:
        key, facts = _KEYS[name](row)
        known = expected.pop(key, None)
        if known is None:
            yield Finding(None, name, str(key), "no entry of the chain tells of this row")
            continue
        seq, digest, operation = known
        if name == "operations":
            body = row["body"]
            sent = hashlib.sha256(body if isinstance(body, bytes) else str(body).encode()).hexdigest()
            if sent != row["body_hash"]:
                yield Finding(seq, name, row["key"], "its body is not the one that was sent")
            end, ended, _ = told.ends[key]
            if _ended(facts) != ended:
                yield Finding(end, name, row["key"], _differences(db, connection, end, {n: facts[n] for n in evidence.ENDED}))
        if name == "attempts" and operation != row["operation_id"]:
            yield Finding(seq, name, str(key), f"it was made on operation {operation}, not {row['operation_id']}")
        if (_bare_digest(facts) if name in {"operations", "attempts"} else _digest(_text(facts))) != digest:
            compared = {n: value for n, value in facts.items() if name != "operations" or n not in evidence.ENDED}
            yield Finding(seq, name, str(key), _differences(db, connection, seq, compared))
    for key, (seq, _, _) in expected.items():
        yield Finding(seq, name, str(key), "the row that this entry tells of is missing")


def _differences(db: Connection, connection: str, seq: int, facts: Mapping[str, Any]) -> str:
    query = select(t.audit.c.payload).where(t.audit.c.connection == connection, t.audit.c.seq == seq)
    before = orjson.loads(db.scalar(query) or "{}")
    changed = [
        f"{name} is “{_shown(facts[name])}”, was “{_shown(before.get(name))}”"
        for name in facts
        if facts[name] != before.get(name)
    ]
    return "; ".join(changed) or "it was changed"


def _shown(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _named(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _, subject, facts = evidence.record(row)
    return subject, facts


def _bound(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return "binding", evidence.binding(row)[2]


def _bound_in_stripe(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _, subject, facts = evidence.stripe_binding(row)
    return subject, facts


def _operation(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    facts = evidence.intent(row)[2]
    return facts.pop("id"), facts


def _attempt(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return row["id"], {name: value for name, value in row.items() if name not in {"id", "operation_id"}}


def _accepted(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _, subject, facts = evidence.person(row)
    return subject, facts


def _number(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _, subject, facts = evidence.vat_number(row)
    return subject, facts


def _sale(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _, subject, facts = evidence.vat_sale(row)
    return subject, facts


def _decided(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _, subject, facts = evidence.decision(row)
    return subject, facts


def _check(row: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    _, subject, facts = evidence.settings_check(row)
    return subject, facts


_KEYS: Mapping[str, Callable[[dict[str, Any]], tuple[Any, dict[str, Any]]]] = {
    "bindings": _bound,
    "stripe_bindings": _bound_in_stripe,
    "identities": _named,
    "operations": _operation,
    "attempts": _attempt,
    "records": _named,
    "accepted": _accepted,
    "vat_numbers": _number,
    "vat_sales": _sale,
    "decisions": _decided,
    "settings_checks": _check,
}


def _ended(facts: Mapping[str, Any]) -> bytes:
    return _digest(_text({name: facts.get(name) for name in evidence.ENDED}))


def _bare_digest(facts: Mapping[str, Any]) -> bytes:
    """Of an operation or attempt without what an outcome changes."""
    return _digest(_text({name: value for name, value in facts.items() if name not in evidence.ENDED}))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _text(facts: Mapping[str, Any]) -> str:
    try:
        return canonical(facts)
    except TypeError:
        return repr(facts)
