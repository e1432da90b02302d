"""A clean readings file as the worst of senders delivers it: shuffled, doubled, corrected, corrupted, from a seed."""

import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tests.faults.feed import READINGS_SCHEMA
from tests.faults.history import Refused

SHUFFLE_S = 7 * 86_400
COMES_TWICE, IS_CORRECTED, IS_CORRUPTED, HAS_A_CONFLICT = 0.20, 0.03, 0.01, 0.01

Fields = dict[str, Any]


def _future() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds")


CORRUPTIONS: dict[str, tuple[str, Callable[[Fields], bytes]]] = {
    "broken off": ("malformed", lambda fields: _line(fields)[: len(_line(fields)) // 2]),
    "without a value": ("malformed", lambda fields: _line({k: v for k, v in fields.items() if k != "value"})),
    "meter is a number": ("malformed", lambda fields: _line(fields | {"meter": 7})),
    "version is null": ("malformed", lambda fields: _line(fields | {"version": None})),
    "much too long": ("oversized", lambda fields: _line(fields | {"note": "x" * 5_000})),
    "another's meter": ("unknown_meter", lambda fields: _line(fields | {"meter": fields["meter"] + "X"})),
    "no such register": ("unknown_register", lambda fields: _line(fields | {"register": "3.8.0"})),
    "time without an offset": ("bad_timestamp", lambda fields: _line(fields | {"ts": fields["ts"].rstrip("Z")})),
    "before 2000": ("bad_timestamp", lambda fields: _line(fields | {"ts": "1999" + fields["ts"][4:]})),
    "of tomorrow": ("future_timestamp", lambda fields: _line(fields | {"ts": _future()})),
    "value with a fraction": ("bad_value", lambda fields: _line(fields | {"value": fields["value"] + 0.5})),
    "value is not a number": ("bad_value", lambda fields: _line(fields | {"value": float("nan")})),
}
"""Twelve kinds: the reason for which design rule 10 rejects such a line, and how it comes about."""


@dataclass(frozen=True)
class Delivery:
    """A line: a good reading or one to be refused; when it is sent, in seconds of the readings' time."""

    sent_at: float
    reading: Fields | None = None
    refused: Refused | None = None


@dataclass(frozen=True)
class Disturbed:
    """All deliveries in the order in which they are sent."""

    deliveries: list[Delivery]
    conflicts: list[Fields]
    """The good lines that have to be rejected in the balance: another value came first."""

    def unlike(self, rejected: Iterable[tuple[str, bytes]]) -> set[tuple[object, ...]]:
        """The conflicts that are not among the rejected (reason, original), and those there that were none."""
        kept = [json.loads(original) for reason, original in rejected if reason == "conflict"]
        return _identities(as_table(kept)) ^ _identities(as_table(self.conflicts))

    def bodies(self, lines: int) -> Iterator[tuple[pa.Table, list[Refused]]]:
        """So many lines at a time: the good ones, and those to be refused."""
        for start in range(0, len(self.deliveries), lines):
            part = self.deliveries[start : start + lines]
            yield (
                as_table([delivery.reading for delivery in part if delivery.reading is not None]),
                [delivery.refused for delivery in part if delivery.refused is not None],
            )


def disturb(clean: pa.Table, seed: int) -> Disturbed:
    """The readings of `clean` (version 0) with what senders do to them; in the end they come out as they are.

    A corrected one comes with a wrong value and version 0, and with the true value and a higher version before or after
    it. A corrupted one comes in one of twelve bad forms and, at another time, well. A conflict is the true one's
    version with another value, after it.
    """
    chance = random.Random(seed)
    corruptions = list(CORRUPTIONS.values())
    deliveries: list[Delivery] = []
    conflicts: list[Fields] = []
    for fields, at in _rows(clean):

        def some_time(at: int = at) -> float:
            return at + chance.uniform(0, SHUFFLE_S)

        sent_at = some_time()
        kind = chance.random()
        if kind < IS_CORRECTED:
            wrong = fields | {"value": fields["value"] + chance.randint(1, 10**6)}
            deliveries.append(Delivery(some_time(), wrong))
            fields = fields | {"version": chance.randint(1, 3)}  # noqa: PLW2901 - the reading as it stands
        elif kind < IS_CORRECTED + HAS_A_CONFLICT:
            conflict = fields | {"value": fields["value"] + 1}
            deliveries.append(Delivery(sent_at + chance.uniform(1, SHUFFLE_S), conflict))
            conflicts.append(conflict)
        if chance.random() < COMES_TWICE:
            deliveries.append(Delivery(sent_at + chance.uniform(0, SHUFFLE_S), fields))
        if chance.random() < IS_CORRUPTED:
            reason, corrupt = chance.choice(corruptions)
            deliveries.append(Delivery(some_time(), refused=Refused(reason, corrupt(fields))))
        deliveries.append(Delivery(sent_at, fields))
    deliveries.sort(key=lambda delivery: delivery.sent_at)
    return Disturbed(deliveries, conflicts)


def as_table(readings: list[Fields]) -> pa.Table:
    """Readings as JSON fields in columns."""
    columns = {name: [reading[name] for reading in readings] for name in READINGS_SCHEMA.names}
    columns["ts"] = [datetime.fromisoformat(text) for text in columns["ts"]]
    return pa.table(columns, schema=READINGS_SCHEMA)


def _identities(readings: pa.Table) -> set[tuple[object, ...]]:
    return {tuple(row.values()) for row in readings.to_pylist()}


def _rows(clean: pa.Table) -> Iterator[tuple[Fields, int]]:
    instants = clean["ts"].cast(pa.timestamp("s", tz="UTC"))
    columns = [clean["meter"].to_pylist(), clean["register"].to_pylist()]
    columns += [pc.strftime(instants, "%Y-%m-%dT%H:%M:%SZ").to_pylist(), clean["value"].to_pylist()]
    for meter, register, ts, value, at in zip(*columns, instants.cast(pa.int64()).to_pylist(), strict=True):
        yield {"meter": meter, "register": register, "ts": ts, "value": value, "version": 0}, at


def _line(fields: Fields) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode()
