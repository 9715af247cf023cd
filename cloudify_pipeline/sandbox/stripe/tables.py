"""The sandbox's memory of one Stripe account: objects by id in SQLite, newest first, safe from any thread."""

import hashlib
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cloudify_pipeline.sandbox.stripe.objects import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    customer TEXT, status TEXT, parent TEXT, intent TEXT,
    deleted INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_kind ON objects (kind, deleted, created, seq);
CREATE INDEX IF NOT EXISTS by_parent ON objects (kind, deleted, parent, created, seq);
CREATE INDEX IF NOT EXISTS by_intent ON objects (kind, deleted, intent, created, seq);
CREATE INDEX IF NOT EXISTS by_customer ON objects (kind, deleted, customer, created, seq);
CREATE INDEX IF NOT EXISTS by_status ON objects (kind, deleted, status, created, seq);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, asked TEXT NOT NULL, at INTEGER NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL
);
"""
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# What an object belongs to: the one filter of its list that has to be fast beside `created`, `customer` and `status`.
_PARENT = {
    "invoice_payment": "invoice",
    "credit_note": "invoice",
    "refund": "charge",
    "dispute": "charge",
    "balance_transaction": "source",
    "price": "product",
    "tax_id": "customer",
    "event": "type",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request that reached the server."""

    method: str
    path: str
    status: int


class ObjectTable:
    """Objects by kind and id; `path` None keeps everything in memory. `ids` makes ids that no other account has."""

    def __init__(self, path: Path | None = None, *, ids: str = "") -> None:
        self._ids = ids
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        # A sandbox that loses its last moments in a power cut is no loss; a sync per request would make it slow.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)
        self.calls: deque[Call] = deque(maxlen=10_000)

    def close(self) -> None:
        """Close the file; the store cannot be used after."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; the outermost of nested ones commits."""
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._db.execute("BEGIN")
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._db.execute("ROLLBACK")
                raise
            else:
                if self._depth == 1:
                    self._db.execute("COMMIT")
            finally:
                self._depth -= 1

    def new_id(self, prefix: str, length: int = 24) -> str:
        """The next id of this kind: looks random, is the same in every run."""
        n = self.count(f"id:{prefix}")
        value = int.from_bytes(hashlib.sha256(f"{prefix}{n}{self._ids}".encode()).digest(), "big")
        letters = ""
        while len(letters) < length:
            value, digit = divmod(value, 62)
            letters += _BASE62[digit]
        return f"{prefix}_{letters}"

    def count(self, name: str) -> int:
        """Add one to a durable counter and return it."""
        with self._lock:
            row = self._db.execute(
                "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value", (name,)
            ).fetchone()
            return int(row[0])

    def counters(self, prefix: str = "") -> dict[str, int]:
        """The durable counters whose name starts with `prefix`."""
        with self._lock:
            rows = self._db.execute("SELECT name, value FROM counters ORDER BY name").fetchall()
        return {name: value for name, value in rows if name.startswith(prefix)}

    def record_call(self, method: str, path: str, status: int) -> None:
        """Remember a request: the last ten thousand in full, all of them by method and status."""
        with self._lock:
            self.calls.append(Call(method, path, status))
            self.count(f"calls:{method}:{status}")

    def note(self, name: str, value: Any) -> None:
        """Keep a durable JSON value of the sandbox's own, no part of the API."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, orjson.dumps(value)))

    def noted(self, name: str) -> Any:
        """The value kept under `name`, or None."""
        with self._lock:
            row = self._db.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return orjson.loads(row[0]) if row else None

    def save(self, obj: Json) -> None:
        """Insert or replace an object by its id."""
        kind = obj["object"]
        parent = obj.get(_PARENT.get(kind, ""))
        payment = obj.get("payment")
        intent = payment.get("payment_intent") if isinstance(payment, dict) else obj.get("payment_intent")
        values = (
            kind,
            obj["created"] if "created" in obj else obj["start"],
            obj.get("customer"),
            obj.get("status"),
            parent,
            intent,
        )
        with self._lock:
            self._db.execute(
                "INSERT INTO objects (kind, created, customer, status, parent, intent, body, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET created = excluded.created, customer = excluded.customer, "
                "status = excluded.status, parent = excluded.parent, intent = excluded.intent, body = excluded.body",
                (*values, orjson.dumps(obj), obj["id"]),
            )

    def mark_deleted(self, id_: str) -> None:
        """Take an object out of its list; what a retrieve then answers is the API's affair."""
        with self._lock:
            self._db.execute("UPDATE objects SET deleted = 1 WHERE id = ?", (id_,))

    def find(self, kind: str, id_: str) -> tuple[Json, bool] | None:
        """The object and whether it is deleted."""
        with self._lock:
            row = self._db.execute("SELECT body, deleted FROM objects WHERE id = ? AND kind = ?", (id_, kind)).fetchone()
        return (orjson.loads(row[0]), bool(row[1])) if row else None

    def get(self, kind: str, id_: str) -> Json:
        """The object, which must exist and not be deleted. Raises KeyError."""
        found = self.find(kind, id_)
        if found is None or found[1]:
            raise KeyError(id_)
        return found[0]

    def rows(
        self, kind: str, where: Sequence[tuple[str, Sequence[Any]]] = (), *, order: str = "DESC", limit: int = -1
    ) -> list[Json]:
        """Objects of a kind that are not deleted, by (created, seq)."""
        conditions = ["kind = ?", "deleted = 0", *(text for text, _ in where)]
        values = [kind, *(value for _, given in where for value in given)]
        with self._lock:
            rows = self._db.execute(
                f"SELECT body FROM objects WHERE {' AND '.join(conditions)} ORDER BY created {order}, seq {order} LIMIT ?",
                (*values, limit),
            ).fetchall()
        return [orjson.loads(body) for (body,) in rows]

    def place(self, kind: str, id_: str) -> tuple[int, int] | None:
        """Where an object stands in its list: (created, seq); deleted ones keep their place."""
        with self._lock:
            row = self._db.execute("SELECT created, seq FROM objects WHERE id = ? AND kind = ?", (id_, kind)).fetchone()
        return (row[0], row[1]) if row else None

    def reply(self, key: str) -> tuple[str, int, int, bytes] | None:
        """What was answered to an idempotency key: (what was asked, at, status, body)."""
        with self._lock:
            row = self._db.execute("SELECT asked, at, status, body FROM replies WHERE key = ?", (key,)).fetchone()
        return (row[0], row[1], row[2], row[3]) if row else None

    def keep_reply(self, key: str, asked: str, at: int, status: int, body: bytes) -> None:
        """Remember an answer for its idempotency key."""
        with self._lock:
            self._db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?, ?)", (key, asked, at, status, body))
