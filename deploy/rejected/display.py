"""Rejected readings for people and for machines. A sender's own text is shown, never obeyed by the terminal."""

import base64
from datetime import datetime

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.rejected.advice import WAY_OUT
from deploy.rejected.store import RejectedReading
from shared.instants import format_instant
from shared.limits import READING_BYTES_MAX
from shared.words import RejectReason

_PIPED_COLUMNS = 200
"""The width of a table that no terminal bounds."""
_CELL_CHARACTERS = 40
_DUMP_BYTES = 16


def make_console() -> Console:
    """Standard output for tables; wide where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPED_COLUMNS)


def plain(text: str) -> str:
    """`text` with everything that could move a cursor or hide something written out as an escape."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def table_of(readings: list[RejectedReading]) -> Table:
    """The readings as a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("number", "rejected at", "reason", "meter", "register", "ts", "came from", "retried at"):
        table.add_column(name, justify="right" if name == "number" else "left", overflow="fold")
    for one in readings:
        cells = (
            str(one.number),
            _instant(one.rejected_at),
            one.reason,
            _cell(one.meter),
            _cell(one.register),
            _cell(one.ts),
            plain(one.position),
            "" if one.retried_at is None else _instant(one.retried_at),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def counts_line(counts: dict[RejectReason, int], shown: int) -> str:
    """`1,200 rejected: unknown_meter 1,100, bad_value 100`, and how many of them are shown."""
    total = sum(counts.values())
    if not total:
        return "No rejected readings."
    said = f"{total:,} rejected: " + ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
    return said + (f"; the newest {shown:,} are shown (--limit)." if shown < total else ".")


def fields_of(one: RejectedReading) -> dict[str, object]:
    """The reading as a JSON object, but for its original."""
    return {
        "number": one.number,
        "rejected_at": _instant(one.rejected_at),
        "reason": one.reason.value,
        "detail": one.detail,
        "meter": one.meter,
        "register": one.register,
        "ts": one.ts,
        "position": one.position,
        "retried_at": None if one.retried_at is None else _instant(one.retried_at),
    }


def original_fields(original: bytes) -> dict[str, object]:
    """The original in JSON: its bytes in base64, and as text where it is UTF-8."""
    try:
        text: str | None = original.decode()
    except UnicodeDecodeError:
        text = None
    return {"original": text, "original_base64": base64.b64encode(original).decode()}


def description_of(one: RejectedReading, original: bytes) -> str:
    """All of one reading, line by line, with what to do about it."""
    lines = [f"{name:<12} {plain('–' if value is None else str(value))}" for name, value in fields_of(one).items()]
    lines += [f"{'original':<12} {len(original):,} bytes", ""]
    lines += shown_original(original)
    return "\n".join([*lines, "", WAY_OUT[one.reason]])


def shown_original(original: bytes) -> list[str]:
    """The original as lines of text where it is UTF-8, else as a hex dump; only its beginning where it is long."""
    beginning = original[:READING_BYTES_MAX]
    try:
        # A character that the cut went through is no fault of the original.
        text = beginning.decode() if len(beginning) == len(original) else beginning.decode(errors="ignore")
        original.decode()
        lines = [f"  {plain(line)}" for line in text.split("\n")]
    except UnicodeDecodeError:
        lines = [f"  {line}" for line in _hex_dump(beginning)]
    if len(beginning) < len(original):
        lines.append(f"  … and {len(original) - len(beginning):,} bytes more; --json has all of it.")
    return lines


def print_json(document: dict[str, object]) -> None:
    """Prints a line of JSON on standard output."""
    print(orjson.dumps(document).decode(), flush=True)


def _hex_dump(content: bytes) -> list[str]:
    lines = []
    for start in range(0, len(content), _DUMP_BYTES):
        some = content[start : start + _DUMP_BYTES]
        seen = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in some)
        lines.append(f"{start:08x}  {some.hex(' '):<{3 * _DUMP_BYTES}} {seen}")
    return lines


def _cell(text: str | None) -> str:
    if text is None:
        return "–"
    return plain(text if len(text) <= _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + "…")


def _instant(instant: datetime) -> str:
    return format_instant(int(instant.timestamp()))
