"""The books of one e-conomic agreement: records in memory, every change written through to SQLite in one transaction.

Safe to use from any thread. With a path, all of it (records, series, idempotency cache, request counts) outlives the process.
"""

import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from cloudify_pipeline.sandbox.economic import demo_agreement
from cloudify_pipeline.sandbox.economic.errors import Json

Key = int | str
VatRounding = Literal["per_document", "per_line"]

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(Any, float_hook=Decimal)
_IDEMPOTENCY_LASTS = timedelta(hours=1)
_CALLS_KEPT = 20_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (method TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, url TEXT, body_hash TEXT, status INTEGER, answer BLOB,
    location TEXT, at REAL) WITHOUT ROWID;
"""


def encode(value: object) -> bytes:
    """JSON with exact decimals."""
    return _ENCODER.encode(value)


def decode(text: bytes | str) -> Any:
    """Parsed JSON, fractions as Decimal. Raises msgspec.DecodeError."""
    return _DECODER.decode(text)


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the server saw it; `status` is 0 where a fault let no answer out."""

    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """What an idempotency key was answered with."""

    url: str
    body_hash: str
    status: int
    answer: bytes
    location: str | None


class EconomicStore:
    """One agreement. `path` None keeps it in memory; seed it with :meth:`seed` before use.

    `vat_rounding` says where VAT is rounded: on the sum of each rate (default) or on every line.
    `rate_limit` is the number of tokens per minute. With :attr:`carriage_returns` every line end in an answer is a CR, as was
    recorded once of an address.
    """

    def __init__(self, path: Path | None = None, *, vat_rounding: VatRounding = "per_document", rate_limit: int = 10_000) -> None:
        self.vat_rounding: VatRounding = vat_rounding
        self.carriage_returns = False
        self.rate_limit = rate_limit
        self.lock = threading.RLock()
        self.calls: deque[Call] = deque(maxlen=_CALLS_KEPT)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
        self._records: dict[str, dict[Key, Json]] = {}
        self._undo: list[tuple[str, Key, Json | None]] = []
        self._depth = 0
        self._load()

    def _load(self) -> None:
        for kind, key, body in self._database.execute("SELECT kind, key, body FROM records"):
            self._records.setdefault(kind, {})[decode(key)] = decode(body)
        self._facts: dict[str, Any] = {
            name: decode(value) for name, value in self._database.execute("SELECT name, value FROM facts")
        }

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All changes inside happen together or not at all; nests."""
        with self.lock:
            if self._depth == 0:
                self._database.execute("BEGIN")
                self._undo.clear()
                facts = dict(self._facts)
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._database.execute("ROLLBACK")
                    self._facts = facts
                    self._take_back()
                raise
            else:
                if self._depth == 1:
                    self._database.execute("COMMIT")
            finally:
                self._depth -= 1

    def _take_back(self) -> None:
        for kind, key, before in reversed(self._undo):
            if before is None:
                self._records[kind].pop(key, None)
            else:
                self._records[kind][key] = before

    # Records

    def all(self, kind: str) -> list[Json]:
        """Every record of a kind, by ascending key. Treat them as read-only."""
        with self.lock:
            records = self._records.get(kind, {})
            return [records[key] for key in sorted(records, key=_order)]

    def get(self, kind: str, key: Key) -> Json | None:
        """One record, or None. Treat it as read-only."""
        with self.lock:
            return self._records.get(kind, {}).get(key)

    def put(self, kind: str, key: Key, body: Json) -> None:
        """Insert or replace a record."""
        with self.transaction():
            records = self._records.setdefault(kind, {})
            self._undo.append((kind, key, records.get(key)))
            records[key] = body
            self._database.execute("REPLACE INTO records VALUES (?, ?, ?)", (kind, encode(key).decode(), encode(body)))

    def delete(self, kind: str, key: Key) -> Json | None:
        """Remove a record and return it."""
        with self.transaction():
            before = self._records.get(kind, {}).pop(key, None)
            if before is not None:
                self._undo.append((kind, key, before))
                self._database.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, encode(key).decode()))
            return before

    def highest(self, kind: str) -> int:
        """The highest number in use, 0 when there is none."""
        with self.lock:
            return max((key for key in self._records.get(kind, {}) if isinstance(key, int)), default=0)

    # Facts: grants, licence, number series

    def fact(self, name: str, default: Any = None) -> Any:
        """A single value of the agreement."""
        with self.lock:
            return self._facts.get(name, default)

    def set_fact(self, name: str, value: object) -> None:
        """Set a single value of the agreement."""
        with self.transaction():
            self._facts[name] = value
            self._database.execute("REPLACE INTO facts VALUES (?, ?)", (name, encode(value)))

    def next_document_number(self) -> int:
        """The next number of the series that drafts and orders share. A deleted last number is given again, a booked never."""
        with self.lock:
            kinds = ("drafts", "orders", "orders.sent", "orders.archived")
            return max(*(self.highest(kind) for kind in kinds), int(self.fact("last_booked_draft", 0))) + 1

    def revoke_grant(self) -> None:
        """The customer takes the grant back: every call is answered 401 E02250."""
        self.set_fact("revoked", True)

    def restore_grant(self) -> None:
        """Undo :meth:`revoke_grant`."""
        self.set_fact("revoked", False)

    def set_read_only_licence(self, read_only: bool) -> None:
        """Whether the agreement's plan allows writes through the API."""
        self.set_fact("read_only_licence", read_only)

    def set_role(self, role: Literal["SuperUser", "Sales", "Bookkeeping"]) -> None:
        """The role the app was granted."""
        self.set_fact("role", role)

    # Requests

    def count_call(self, call: Call) -> None:
        """Remember one request, and count it durably."""
        with self.lock:
            self.calls.append(call)
            self._database.execute(
                "INSERT INTO requests VALUES (?, 1) ON CONFLICT (method) DO UPDATE SET count = count + 1", (call.method,)
            )

    def requests(self) -> Mapping[str, int]:
        """How many requests there ever were, by method."""
        with self.lock:
            return Counter(dict(self._database.execute("SELECT method, count FROM requests")))

    def writes(self) -> list[Call]:
        """The remembered requests that were not GET, oldest first."""
        with self.lock:
            return [call for call in self.calls if call.method != "GET"]

    def cached_answer(self, key: str, now: datetime) -> CachedAnswer | None:
        """The answer an idempotency key got within the last hour."""
        with self.lock:
            row = self._database.execute(
                "SELECT url, body_hash, status, answer, location FROM answers WHERE key = ? AND at > ?",
                (key, (now - _IDEMPOTENCY_LASTS).timestamp()),
            ).fetchone()
        return None if row is None else CachedAnswer(*row)

    def cache_answer(self, key: str, cached: CachedAnswer, now: datetime) -> None:
        """Remember what an idempotency key was answered with."""
        with self.transaction():
            self._database.execute(
                "REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (key, cached.url, cached.body_hash, cached.status, cached.answer, cached.location, now.timestamp()),
            )

    # What tests and the demo look at

    def customers(self) -> list[Json]:
        """Copies of all customers."""
        return self._copies("customers")

    def products(self) -> list[Json]:
        """Copies of all products."""
        return self._copies("products")

    def drafts(self) -> list[Json]:
        """Copies of all draft invoices."""
        return self._copies("drafts")

    def booked(self) -> list[Json]:
        """Copies of all booked invoices."""
        return self._copies("booked")

    def orders(self) -> list[Json]:
        """Copies of all draft orders."""
        return self._copies("orders")

    def _copies(self, kind: str) -> list[Json]:
        with self.lock:
            copies: list[Json] = decode(encode(self.all(kind)))
        return copies

    def add_customer(self, **fields: Any) -> Json:
        """A customer of the agreement's own making, with sound defaults; returns the record."""
        with self.transaction():
            number = fields.get("customerNumber") or self.highest("customers") + 1
            record = {**demo_agreement.CUSTOMER_DEFAULTS, "name": f"Customer {number}", **fields, "customerNumber": number}
            self.put("customers", number, record)
        return record

    def add_product(self, number: str, **fields: Any) -> Json:
        """A product of the agreement's own making; returns the record."""
        record = {**demo_agreement.PRODUCT_DEFAULTS, "name": number, **fields, "productNumber": number}
        self.put("products", number, record)
        return record

    def add_voucher(self, day: str, text: str, account: int, amount: Decimal, vat_code: str | None = None) -> None:
        """A finance voucher that somebody enters by hand: `amount` is in base currency, a sale with a minus."""
        with self.transaction():
            number = max(self.highest("vouchers"), 900_000) + 1
            entry: Json = {"account": {"accountNumber": account}, "amountInBaseCurrency": amount, "text": text}
            if vat_code is not None:
                entry["vatAccount"] = {"vatCode": vat_code}
            body = {"date": day, "currency": demo_agreement.BASE_CURRENCY, "entryType": "financeVoucher", "entries": [entry]}
            self.put("vouchers", number, {"voucherNumber": number, **body})

    def bar_product(self, number: str, barred: bool = True) -> None:
        """Bar a product from being sold, or free it."""
        self._change("products", number, barred=barred)

    def bar_customer(self, number: int, barred: bool = True) -> None:
        """Bar a customer from being invoiced, or free it."""
        self._change("customers", number, barred=barred)

    def set_period(self, first_day: str, *, barred: bool | None = None, closed: bool | None = None) -> None:
        """Bar or close the period that starts on `first_day` (YYYY-MM-DD)."""
        changes = {name: value for name, value in (("barred", barred), ("closed", closed)) if value is not None}
        self._change("periods", first_day, **changes)

    def _change(self, kind: str, key: Key, **changes: Any) -> None:
        with self.transaction():
            record = self.get(kind, key)
            if record is None:
                raise KeyError(key)
            self.put(kind, key, {**record, **changes})

    def seed(self, now: datetime) -> None:
        """Fill an empty store with the demo agreement as it stands on the day of `now`; a filled one is left alone."""
        with self.transaction():
            if self.fact("agreement") is None:
                for kind, key, body in demo_agreement.records(now):
                    self.put(kind, key, body)
                for name, value in demo_agreement.facts().items():
                    self.set_fact(name, value)


def _order(key: Key) -> tuple[int, int, str]:
    return (0, key, "") if isinstance(key, int) else (1, 0, key)
