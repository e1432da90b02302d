"""Cells of a topology folder: text in, values out, and what is wrong with it. Pure.

A column is parsed over its distinct values only, so that a million rows cost what their few kinds, limits and instants
cost. Every parser raises ValueError with what is wrong, to be read after the cell's column and value.
"""

import re
from collections.abc import Callable
from decimal import Context, Decimal
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shared.instants import parse_instant
from shared.limits import IDENTIFIER_CHARACTERS_MAX, KW_MAX, NAME_CHARACTERS_MAX, VALUE_MAX
from shared.topology.csv_folder import Sheet
from shared.topology.rows import TopologyError
from shared.words import REGISTERS, AssetKind, MeterKind, Register, ZoneKind

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_EXACT = Context(prec=200)
"""Digits enough for every number that _NUMBER matches: 55 digits moved by up to 99 places either way."""


def parse_identifier(text: str) -> str:
    """A zone, member, meter or asset."""
    if len(text) > IDENTIFIER_CHARACTERS_MAX:
        raise ValueError(f"has {len(text)} characters, over {IDENTIFIER_CHARACTERS_MAX}")
    if text != text.strip():
        raise ValueError("begins or ends with a blank")
    return parse_text(text)


def parse_text(text: str) -> str:
    """Free text: a name, a member's kind."""
    if len(text) > NAME_CHARACTERS_MAX:
        raise ValueError(f"has {len(text)} characters, over {NAME_CHARACTERS_MAX}")
    if _CONTROL.search(text):
        raise ValueError("holds a control character")
    return text


def parse_number(text: str, *, least: Decimal | None = Decimal(0), most: Decimal = Decimal(KW_MAX)) -> str:
    """A finite decimal number from `least` to `most`, as text without exponent and superfluous zeros: exact."""
    if not _NUMBER.fullmatch(text):
        raise ValueError("is not a finite number")
    number = Decimal(text)
    if least is not None and number < least:
        raise ValueError("is negative" if least == 0 else f"is below {least}")
    if number > most:
        raise ValueError(f"is above {most}")
    return "0" if number == 0 else format(number.normalize(_EXACT), "f")


def parse_cost(text: str) -> str:
    """A price, which may be negative."""
    return parse_number(text, least=Decimal(-KW_MAX))


def parse_efficiency(text: str) -> str:
    """The share of a round trip that comes back: above 0, up to 1."""
    number = parse_number(text, most=Decimal(1))
    if number == "0":
        raise ValueError("must be above 0")
    return number


def parse_latitude(text: str) -> float:
    """Degrees north."""
    return float(parse_number(text, least=Decimal(-90), most=Decimal(90)))


def parse_longitude(text: str) -> float:
    """Degrees east."""
    return float(parse_number(text, least=Decimal(-180), most=Decimal(180)))


def parse_register_value(text: str) -> int:
    """A value of an energy register, Wh, as in a reading (design rule 10)."""
    if not re.fullmatch(r"0|[1-9]\d{0,13}", text, re.ASCII) or int(text) > VALUE_MAX:
        raise ValueError(f"is not a whole number from 0 to {VALUE_MAX}")
    return int(text)


def parse_folder_instant(text: str) -> int:
    """An instant with an offset, as seconds since 1970."""
    try:
        return parse_instant(text)
    except ValueError:
        raise ValueError("is not an ISO 8601 instant with an offset, like 2026-05-01T10:15:00Z") from None


def parse_clock_time(text: str) -> str:
    """HH:MM of a local day."""
    if not _CLOCK_TIME.fullmatch(text):
        raise ValueError("is not a time of day from 00:00 to 23:59")
    return text


def parse_flag(text: str) -> bool:
    """A yes or no: `true` or `false`, in any case of letters."""
    if text.lower() not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text.lower() == "true"


def parse_register(text: str) -> str:
    """One register."""
    if text not in REGISTERS:
        raise ValueError(f"is none of the registers {', '.join(REGISTERS)}")
    return text


def parse_energy_register(text: str) -> str:
    """A register that counts energy: only these are exchanged (design rule 13)."""
    if text not in (Register.WITHDRAWN, Register.INJECTED):
        raise ValueError(f"is neither {Register.WITHDRAWN} nor {Register.INJECTED}")
    return text


def parse_registers(text: str) -> str:
    """Registers joined by `|`, in the order of their codes."""
    names = text.split("|")
    unknown = [name for name in names if name not in REGISTERS]
    if unknown:
        raise ValueError(f"names {unknown[0]!r}, which is none of {', '.join(REGISTERS)} (joined by |)")
    if len(set(names)) != len(names):
        raise ValueError("names a register twice")
    return "|".join(register for register in REGISTERS if register in names)


def register_bits(text: str) -> int:
    """Bit k set for each register of code k in `text`, as parse_registers gives it."""
    return sum(1 << Register(name).code for name in text.split("|"))


def _parse_kind(text: str, kinds: tuple[str, ...]) -> str:
    if text not in kinds:
        raise ValueError(f"is none of {', '.join(kinds)}")
    return text


parse_zone_kind = partial(_parse_kind, kinds=tuple(ZoneKind))
parse_meter_kind = partial(_parse_kind, kinds=tuple(MeterKind))
parse_asset_kind = partial(_parse_kind, kinds=tuple(AssetKind))


def parse_column(
    sheet: Sheet,
    name: str,
    parse: Callable[[str], Any],
    value_type: pa.DataType,
    errors: list[TopologyError],
    *,
    needed: bool = False,
) -> pa.Array:
    """The values of column `name`, null where blank or wrong; what is wrong is added to `errors`, row by row."""
    encoded = sheet.columns[name].dictionary_encode()
    values: list[Any] = []
    wrong: dict[int, str] = {}
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        value = None
        if text:
            try:
                value = parse(text)
            except ValueError as error:
                wrong[code] = f"{name} {_shown(text)} {error}"
        elif needed:
            wrong[code] = f"{name} is empty"
        values.append(value)
    codes = encoded.indices.to_numpy()
    if wrong:
        report(sheet, np.isin(codes, list(wrong)), lambda row: wrong[int(codes[row])], errors)
    return pa.array(values, value_type).take(encoded.indices)


def report(sheet: Sheet, bad: npt.NDArray[np.bool_], what: Callable[[int], str], errors: list[TopologyError]) -> None:
    """Adds an error for every row of `bad` that is not spoilt already; `what` is asked with the row's place."""
    rows = np.flatnonzero(bad & ~sheet.spoilt).tolist()
    errors.extend(TopologyError(sheet.file, int(sheet.line[row]), what(row)) for row in rows)


def report_repeated(sheet: Sheet, name: str, errors: list[TopologyError]) -> None:
    """Adds an error for every row whose column `name` an earlier row has too."""
    encoded = sheet.columns[name].dictionary_encode()
    codes = encoded.indices.to_numpy()
    if len(encoded.dictionary) == len(codes):
        return
    _, first = np.unique(codes, return_index=True)  # codes run from 0 without a gap
    filled = np.array([bool(text) for text in encoded.dictionary.to_pylist()])
    repeated = (first[codes] != np.arange(len(codes))) & filled[codes]
    report(
        sheet,
        repeated,
        lambda row: (
            f"{name} {_shown(encoded.dictionary[int(codes[row])].as_py())} stands in line "
            f"{sheet.line[first[codes[row]]]} already"
        ),
        errors,
    )


def report_unknown(
    sheet: Sheet, name: str, known: pa.Array, errors: list[TopologyError], *, of: str
) -> npt.NDArray[np.int64]:
    """The place in `known` of each value of column `name`, -1 where blank or unknown; unknown ones are errors."""
    column = sheet.columns[name]
    place: npt.NDArray[np.int64] = pc.fill_null(pc.index_in(column, value_set=known), -1).to_numpy().astype(np.int64)
    blank = pc.equal(column, "").to_numpy(zero_copy_only=False)
    place[blank] = -1
    report(sheet, (place < 0) & ~blank, lambda row: f"{name} {_shown(column[row].as_py())} is not in {of}", errors)
    return place


def _shown(text: str) -> str:
    """`text` for a message: quoted, cut short."""
    return repr(text) if len(text) <= 70 else repr(text[:67] + "...")
