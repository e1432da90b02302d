"""The fast way through JSON deliveries: a byte parser that takes the common form of a reading straight to columns.

It takes only what `reading_rules.judge` would take too, with the same fields, and leaves all else alone: another order
of keys is fine, but an escaped character, a further field, a repeated key, a fraction, a bad instant or number is not
judged here. Everything the kernels need stands in this file: Numba's cache does not see changes in others.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from services.ingest.kernel_options import KERNEL_OPTIONS
from shared.limits import EARLIEST_INSTANT_S, READING_BYTES_MAX, VALUE_MAX, VERSION_MAX

_bytes = nb.types.Array(nb.uint8, 1, "C", readonly=True)
_spans = nb.types.Array(nb.int64, 1, "C", readonly=True)
_columns = nb.types.Array(nb.int64, 2, "C")
_flags = nb.types.Array(nb.boolean, 1, "C")


@dataclass(frozen=True, slots=True)
class LineColumns:
    """What stands in each delivery; only where `taken`."""

    taken: npt.NDArray[np.bool_]
    meter_start: npt.NDArray[np.int64]
    meter_end: npt.NDArray[np.int64]
    """The meter's name is text[meter_start:meter_end]; any bytes but quote, backslash and control characters."""
    register_start: npt.NDArray[np.int64]
    register_end: npt.NDArray[np.int64]
    ts_s: npt.NDArray[np.int64]
    value: npt.NDArray[np.int64]
    version: npt.NDArray[np.int64]


_METER_START, _METER_END, _REGISTER_START, _REGISTER_END, _TS_S, _VALUE, _VERSION = range(7)
"""The rows of the kernels' array of columns, in the order of LineColumns."""


def parse_lines(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], latest_s: int
) -> LineColumns:
    """The deliveries text[start:end], parsed as far as they have the common form and pass the rules on numbers.

    `latest_s` is the last instant that is not in the future. Whether meter and register are known is not asked here.
    """
    taken = np.zeros(len(starts), np.bool_)
    columns = np.zeros((_VERSION + 1, len(starts)), np.int64)
    limits = np.array([READING_BYTES_MAX, EARLIEST_INSTANT_S, latest_s, VALUE_MAX, VERSION_MAX], np.int64)
    _parse_lines(text, starts, ends, limits, taken, columns)
    return LineColumns(taken, *columns)


def find_lines(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and ends of the lines of the parts text[start:end], which are in order and do not overlap.

    Lines are without their ends (LF or CR LF); those that are empty then are left out.
    """
    newlines = np.flatnonzero(text == ord("\n"))
    lines = np.empty((2, len(starts) + len(newlines)), np.int64)
    count = _find_lines(text, starts, ends, newlines, lines)
    return lines[0, :count], lines[1, :count]


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _skip_spaces(text: npt.NDArray[np.uint8], position: int, end: int) -> int:
    while position < end and (
        text[position] == 32 or text[position] == 9 or text[position] == 10 or text[position] == 13
    ):
        position += 1
    return position


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _string_end(text: npt.NDArray[np.uint8], position: int, end: int) -> int:
    """Where a string's closing quote is whose text begins at `position`; −1 with an escape or control character."""
    while position < end:
        byte = text[position]
        if byte == 34:
            return position
        if byte == 92 or byte < 32:
            return -1
        position += 1
    return -1


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _whole_number_end(text: npt.NDArray[np.uint8], position: int, end: int) -> int:
    """Where the digits end that begin at `position`; −1 with none, a leading zero, or more than 14."""
    first = position
    while position < end and 48 <= text[position] <= 57 and position - first < 15:
        position += 1
    digits = position - first
    if digits == 0 or digits > 14 or (digits > 1 and text[first] == 48):
        return -1
    return position


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _digits(text: npt.NDArray[np.uint8], start: int, count: int) -> int:
    """The number of `count` digits at `start`; a large negative one when one of them is no digit."""
    number = 0
    for position in range(start, start + count):
        digit = int(text[position]) - 48
        if digit < 0 or digit > 9:
            return -1_000_000
        number = number * 10 + digit
    return number


@nb.njit(nb.int64(nb.int64, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _days_of_date(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar; −1 when there is no such date after 1970."""
    if year < 1970 or month < 1 or month > 12 or day < 1:
        return -1
    leap = (year % 4 == 0 and year % 100 != 0) or year % 400 == 0
    length = 31
    if month == 2:
        length = 29 if leap else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        length = 30
    if day > length:
        return -1
    # Years from March on, so that the leap day is the last (Hinnant, "chrono-compatible low-level date algorithms").
    march_year = year if month > 2 else year - 1
    march_month = month - 3 if month > 2 else month + 9
    day_of_year = (153 * march_month + 2) // 5 + day - 1
    return march_year * 365 + march_year // 4 - march_year // 100 + march_year // 400 + day_of_year - 719_468


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _offset_s(text: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """The offset `Z` or `±HH:MM` in seconds; one above a day when it is neither."""
    if end - start == 1 and text[start] == 90:
        return 0
    if end - start == 6 and text[start + 3] == 58 and (text[start] == 43 or text[start] == 45):
        hours, minutes = _digits(text, start + 1, 2), _digits(text, start + 4, 2)
        if 0 <= hours <= 23 and 0 <= minutes <= 59:
            offset_s = hours * 3600 + minutes * 60
            return offset_s if text[start] == 43 else -offset_s
    return 1_000_000


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _instant_s(text: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """`YYYY-MM-DDTHH:MM[:SS[.f…]]` and an offset, as seconds since 1970, floored; −1 when it is not of that form."""
    if end - start < 17 or end - start > 35:
        return -1
    if text[start + 4] != 45 or text[start + 7] != 45 or text[start + 10] != 84 or text[start + 13] != 58:
        return -1
    days = _days_of_date(_digits(text, start, 4), _digits(text, start + 5, 2), _digits(text, start + 8, 2))
    hour, minute, second = _digits(text, start + 11, 2), _digits(text, start + 14, 2), 0
    position = start + 16
    if text[position] == 58:
        if end - position < 4:
            return -1
        second = _digits(text, position + 1, 2)
        position += 3
        if text[position] == 46:
            position += 1
            first = position
            while position < end and 48 <= text[position] <= 57:
                position += 1
            if position == first or position - first > 9:
                return -1
    offset_s = _offset_s(text, position, end)
    if days < 0 or not 0 <= hour <= 23 or not 0 <= minute <= 59 or not 0 <= second <= 59 or offset_s > 86_400:
        return -1
    return days * 86_400 + hour * 3600 + minute * 60 + second - offset_s


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _field_of(text: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """Which field a key names: 0 meter, 1 register, 2 ts, 3 value, 4 version; −1 any other."""
    length = end - start
    first = text[start] if length > 0 else 0
    if length == 2:
        return 2 if first == 116 and text[start + 1] == 115 else -1
    if length == 5 and first == 109:
        same = text[start + 1] == 101 and text[start + 2] == 116 and text[start + 3] == 101 and text[start + 4] == 114
        return 0 if same else -1
    if length == 5 and first == 118:
        same = text[start + 1] == 97 and text[start + 2] == 108 and text[start + 3] == 117 and text[start + 4] == 101
        return 3 if same else -1
    if length == 7 and first == 118:
        same = text[start + 1] == 101 and text[start + 2] == 114 and text[start + 3] == 115
        return 4 if same and text[start + 4] == 105 and text[start + 5] == 111 and text[start + 6] == 110 else -1
    if length == 8 and first == 114:
        same = text[start + 1] == 101 and text[start + 2] == 103 and text[start + 3] == 105 and text[start + 4] == 115
        return 1 if same and text[start + 5] == 116 and text[start + 6] == 101 and text[start + 7] == 114 else -1
    return -1


@nb.njit(nb.int64(_bytes, nb.int64, nb.int64, nb.int64, nb.int64, _spans, _columns), **KERNEL_OPTIONS)
def _take_field(
    text: npt.NDArray[np.uint8],
    field: int,
    position: int,
    end: int,
    row: int,
    limits: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> int:
    """Reads the field's value at `position` into its columns; where it ends, or −1 when it is not surely good."""
    if field >= 3:
        after = _whole_number_end(text, position, end)
        if after < 0:
            return -1
        number = _digits(text, position, after - position)
        if number > limits[field]:
            return -1
        if field == 3:
            columns[_VALUE, row] = number
        else:
            columns[_VERSION, row] = number
        return after
    if position >= end or text[position] != 34:
        return -1
    start = position + 1
    quote = _string_end(text, start, end)
    if quote < 0:
        return -1
    if field == 0:
        columns[_METER_START, row], columns[_METER_END, row] = start, quote
    elif field == 1:
        columns[_REGISTER_START, row], columns[_REGISTER_END, row] = start, quote
    else:
        ts_s = _instant_s(text, start, quote)
        if ts_s < limits[1] or ts_s > limits[2]:
            return -1
        columns[_TS_S, row] = ts_s
    return quote + 1


@nb.njit(nb.boolean(_bytes, nb.int64, nb.int64, nb.int64, _spans, _columns), **KERNEL_OPTIONS)
def _take_line(
    text: npt.NDArray[np.uint8],
    start: int,
    end: int,
    row: int,
    limits: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> bool:
    if end - start > limits[0]:
        return False
    position = _skip_spaces(text, start, end)
    if position >= end or text[position] != 123:
        return False
    seen = 0
    while True:
        position = _skip_spaces(text, position + 1, end)
        if position >= end or text[position] != 34:
            return False
        quote = _string_end(text, position + 1, end)
        if quote < 0:
            return False
        field = _field_of(text, position + 1, quote)
        if field < 0 or seen & (1 << field):
            return False
        seen |= 1 << field
        position = _skip_spaces(text, quote + 1, end)
        if position >= end or text[position] != 58:
            return False
        position = _take_field(text, field, _skip_spaces(text, position + 1, end), end, row, limits, columns)
        if position < 0:
            return False
        position = _skip_spaces(text, position, end)
        if position >= end:
            return False
        if text[position] == 125:
            break
        if text[position] != 44:
            return False
    # All but version, and nothing after the object.
    return seen & 15 == 15 and _skip_spaces(text, position + 1, end) == end


@nb.njit(nb.void(_bytes, _spans, _spans, _spans, _flags, _columns), **KERNEL_OPTIONS)
def _parse_lines(
    text: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    limits: npt.NDArray[np.int64],
    taken: npt.NDArray[np.bool_],
    columns: npt.NDArray[np.int64],
) -> None:
    for row in range(len(starts)):
        taken[row] = _take_line(text, starts[row], ends[row], row, limits, columns)


@nb.njit(nb.int64(_bytes, _spans, _spans, _spans, _columns), **KERNEL_OPTIONS)
def _find_lines(
    text: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    newlines: npt.NDArray[np.int64],
    lines: npt.NDArray[np.int64],
) -> int:
    """Fills starts and ends of the lines that are not empty; how many. There is room for one a part and a newline."""
    count, newline = 0, 0
    for part in range(len(starts)):
        start = starts[part]
        while newline < len(newlines) and newlines[newline] < start:
            newline += 1  # between two parts
        while start < ends[part]:
            stop = ends[part]
            if newline < len(newlines) and newlines[newline] < stop:
                stop = newlines[newline]
                newline += 1
            end = stop - 1 if stop > start and text[stop - 1] == 13 else stop
            if end > start:
                lines[0, count], lines[1, count] = start, end
                count += 1
            start = stop + 1
    return count
