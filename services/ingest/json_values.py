"""Kernels that read the values of JSON deliveries at a place of a text: strings, whole numbers and instants.

What they take, the plain rules (`reading_rules`) take too, with the same meaning. They refuse what is not sure.
"""

import numba as nb
import numpy as np
import numpy.typing as npt

from services.ingest.kernel_options import KERNEL_OPTIONS
from services.ingest.line_columns import BYTES_TYPE


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def skip_spaces(text: npt.NDArray[np.uint8], position: int, end: int) -> int:
    """Where the first byte is from `position` on that is no space of JSON; `end` when there is none."""
    while position < end and (
        text[position] == 32 or text[position] == 9 or text[position] == 10 or text[position] == 13
    ):
        position += 1
    return position


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def string_end(text: npt.NDArray[np.uint8], position: int, end: int) -> int:
    """Where a string's closing quote is whose text begins at `position`; −1 with an escape or control character."""
    while position < end:
        byte = text[position]
        if byte == 34:
            return position
        if byte == 92 or byte < 32:
            return -1
        position += 1
    return -1


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def whole_number_end(text: npt.NDArray[np.uint8], position: int, end: int) -> int:
    """Where the digits end that begin at `position`; −1 with none, a leading zero, or more than 14."""
    first = position
    while position < end and 48 <= text[position] <= 57 and position - first < 15:
        position += 1
    digits = position - first
    if digits == 0 or digits > 14 or (digits > 1 and text[first] == 48):
        return -1
    return position


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def digits(text: npt.NDArray[np.uint8], start: int, count: int) -> int:
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


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _offset_s(text: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """The offset `Z` or `±HH:MM` in seconds; one above a day when it is neither."""
    if end - start == 1 and text[start] == 90:
        return 0
    if end - start == 6 and text[start + 3] == 58 and (text[start] == 43 or text[start] == 45):
        hours, minutes = digits(text, start + 1, 2), digits(text, start + 4, 2)
        if 0 <= hours <= 23 and 0 <= minutes <= 59:
            offset_s = hours * 3600 + minutes * 60
            return offset_s if text[start] == 43 else -offset_s
    return 1_000_000


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def instant_s(text: npt.NDArray[np.uint8], start: int, end: int) -> int:
    """`YYYY-MM-DDTHH:MM[:SS[.f…]]` and an offset, as seconds since 1970, floored; −1 when it is not of that form."""
    if end - start < 17 or end - start > 35:
        return -1
    if text[start + 4] != 45 or text[start + 7] != 45 or text[start + 10] != 84 or text[start + 13] != 58:
        return -1
    days = _days_of_date(digits(text, start, 4), digits(text, start + 5, 2), digits(text, start + 8, 2))
    hour, minute, second = digits(text, start + 11, 2), digits(text, start + 14, 2), 0
    position = start + 16
    if text[position] == 58:
        if end - position < 4:
            return -1
        second = digits(text, position + 1, 2)
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
