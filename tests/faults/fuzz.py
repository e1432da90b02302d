"""Lines that no sender should send, from a seed: readings bitten by chance in every way that the fault list names."""

import json
import random
from datetime import UTC, datetime
from typing import Any

from tests.faults.feed import EXTRA_METERS

_VALUES = (
    "NaN", "Infinity", "-Infinity", "-0", "0", "1.0", "1e3", "1E400", "9223372036854775808", "-9223372036854775808",
    "10000000000000", "10000000000001", "00", "+1", "0x10", "null", "true", '"7"', '""', "[]", "{}", "1_000", "-1",
)  # fmt: skip
_VERSIONS = ("null", "-1", "2147483647", "2147483648", "1.0", '"0"', "true", "[0]", "0", "1", "2", "NaN")
_METERS = ('""', "null", "7", '"NOBODY"', '"EXTRA-00 "', '"extra-00"', '"EXTRA-00\\u0000"', '"\\ud800"', "[]", '"é"')
_REGISTERS = (
    '"1-0:1.8.0*255"', '"1-0:2.8.0"', '"1.8.0*255"', '"1.8.1"', '"soc"', '"1.7.0"', '""', "null", "180", '"1.8.0 "',
)  # fmt: skip
_INSTANTS = (
    '"2026-02-30T00:00:00Z"',
    '"2026-05-01T24:00:00Z"', '"2026-05-01T10:15:00"', '"1999-12-31T23:59:59Z"', '"yesterday"',
    '"9999-12-31T23:59:59Z"', '""', "null", "1767225600", '"2026-05-01"', '"2026-05-01T10:61:00Z"', '"\\u0000"',
)  # fmt: skip
_NEAR_S = 86_400
"""Bitten instants are let through only so near to the present: the recomputation holds every window in between."""


class Fuzz:
    """Lines without end; none is blank, and none holds a line break."""

    def __init__(self, seed: int, now_s: int) -> None:
        """Good instants lie in the day before `now_s`."""
        self._chance = random.Random(seed)
        self._now_s = now_s

    def lines(self, count: int) -> list[bytes]:
        """The next `count`."""
        found: list[bytes] = []
        while len(found) < count:
            line = self._line().replace(b"\n", b" ").replace(b"\r", b" ")
            if line.strip(b" \t\r\n\x00\x0b\x0c") and not self._is_far(line):
                found.append(line)
        return found

    def _line(self) -> bytes:
        fields = self._fields()
        bite = self._chance.randrange(12)
        if bite == 0:
            return self._flipped(_text(fields))
        if bite == 1:
            text = _text(fields)
            return text[: self._chance.randrange(1, len(text))]
        if bite == 2:
            return self._chance.randbytes(self._chance.randrange(1, 200))
        if bite == 3:
            return b"[" * self._chance.choice((1, 10, 1_000, 3_900)) + _text(fields)
        if bite == 4:
            del fields[self._chance.choice(list(fields))]
        elif bite == 5:
            fields["note"] = json.dumps("x" * self._chance.choice((1, 3_000, 4_096, 20_000)))
        elif bite == 6:
            return _text(fields) + self._chance.choice((b",", b"}", b" x", b"\xff", b"\xef\xbb\xbf", b"  "))
        elif bite == 7:
            return b"\xef\xbb\xbf" + _text(fields) if self._chance.random() < 0.5 else b"\xc3\x28" + _text(fields)
        elif bite == 8:
            return b"{" + b",".join([_text(fields)[1:-1], _text(self._fields())[1:-1]]) + b"}"  # each key twice
        else:
            name = self._chance.choice(list(_BITES))
            fields[name] = self._chance.choice(_BITES[name])
        return _text(fields)

    def _fields(self) -> dict[str, str]:
        """A good reading, its values as JSON."""
        at_s = self._now_s - self._chance.randrange(_NEAR_S)
        fields: dict[str, Any] = {
            "meter": self._chance.choice(EXTRA_METERS),
            "register": self._chance.choice(("1.8.0", "2.8.0")),
            "ts": datetime.fromtimestamp(at_s, UTC).isoformat(),
            "value": self._chance.randrange(10**6),
        }
        return {name: json.dumps(value) for name, value in fields.items()}

    def _flipped(self, text: bytes) -> bytes:
        bitten = bytearray(text)
        for _ in range(self._chance.randrange(1, 4)):
            bitten[self._chance.randrange(len(bitten))] ^= 1 << self._chance.randrange(8)
        return bytes(bitten)

    def _is_far(self, line: bytes) -> bool:
        """Whether the line could be a good reading of another year."""
        try:
            at_s = datetime.fromisoformat(json.loads(line)["ts"]).timestamp()
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        return at_s > 946_684_800 - _NEAR_S and abs(at_s - self._now_s) > 2 * _NEAR_S and at_s < self._now_s


_BITES = {"meter": _METERS, "register": _REGISTERS, "ts": _INSTANTS, "value": _VALUES, "version": _VERSIONS}


def _text(fields: dict[str, str]) -> bytes:
    return ("{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in fields.items()) + "}").encode()
