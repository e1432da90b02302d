"""The fast way through JSON deliveries: a byte parser that takes the common form of a reading straight to columns.

It takes only what `reading_rules.judge` would take too, with the same fields, and leaves all else alone: another order
of keys is fine, but an escaped character, a further field, a repeated key, a fraction, a bad instant or number is not
judged here.
"""

import numba as nb
import numpy as np
import numpy.typing as npt

from services.ingest.json_alike import take_alike
from services.ingest.json_values import digits, instant_s, skip_spaces, string_end, whole_number_end
from services.ingest.kernel_options import KERNEL_OPTIONS
from services.ingest.line_columns import (
    BYTES_TYPE,
    COLUMNS_TYPE,
    FLAGS_TYPE,
    LINE_COLUMNS,
    METER_END,
    METER_START,
    NUMBERS_TYPE,
    REGISTER_END,
    REGISTER_START,
    TS_S,
    TS_START,
    VALUE,
    VALUE_START,
    VERSION,
    LineColumns,
)
from services.ingest.text_words import WORDS_TYPE, words_of
from shared.limits import EARLIEST_INSTANT_S, READING_BYTES_MAX, VALUE_MAX, VERSION_MAX


def parse_lines(
    text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], latest_s: int
) -> LineColumns:
    """The deliveries text[start:end], parsed as far as they have the common form and pass the rules on numbers.

    `latest_s` is the last instant that is not in the future. Whether meter and register are known is not asked here.
    """
    taken = np.zeros(len(starts), np.bool_)
    columns = np.zeros((VALUE_START + 1, len(starts)), np.int64)
    limits = np.array([READING_BYTES_MAX, EARLIEST_INSTANT_S, latest_s, VALUE_MAX, VERSION_MAX], np.int64)
    _parse_lines(text, words_of(text), starts, ends, limits, taken, columns)
    return LineColumns(taken, *columns[:LINE_COLUMNS])


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


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
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


@nb.njit(nb.int64(BYTES_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, NUMBERS_TYPE, COLUMNS_TYPE), **KERNEL_OPTIONS)
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
        after = whole_number_end(text, position, end)
        if after < 0:
            return -1
        number = digits(text, position, after - position)
        if number > limits[field]:
            return -1
        if field == 3:
            columns[VALUE, row], columns[VALUE_START, row] = number, position
        else:
            columns[VERSION, row] = number
        return after
    if position >= end or text[position] != 34:
        return -1
    start = position + 1
    quote = string_end(text, start, end)
    if quote < 0:
        return -1
    if field == 0:
        columns[METER_START, row], columns[METER_END, row] = start, quote
    elif field == 1:
        columns[REGISTER_START, row], columns[REGISTER_END, row] = start, quote
    else:
        ts_s = instant_s(text, start, quote)
        if ts_s < limits[1] or ts_s > limits[2]:
            return -1
        columns[TS_S, row], columns[TS_START, row] = ts_s, start
    return quote + 1


@nb.njit(nb.boolean(BYTES_TYPE, nb.int64, nb.int64, nb.int64, NUMBERS_TYPE, COLUMNS_TYPE), **KERNEL_OPTIONS)
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
    position = skip_spaces(text, start, end)
    if position >= end or text[position] != 123:
        return False
    seen = 0
    while True:
        position = skip_spaces(text, position + 1, end)
        if position >= end or text[position] != 34:
            return False
        quote = string_end(text, position + 1, end)
        if quote < 0:
            return False
        field = _field_of(text, position + 1, quote)
        if field < 0 or seen & (1 << field):
            return False
        seen |= 1 << field
        position = skip_spaces(text, quote + 1, end)
        if position >= end or text[position] != 58:
            return False
        position = _take_field(text, field, skip_spaces(text, position + 1, end), end, row, limits, columns)
        if position < 0:
            return False
        position = skip_spaces(text, position, end)
        if position >= end:
            return False
        if text[position] == 125:
            break
        if text[position] != 44:
            return False
    # All but version, and nothing after the object.
    return seen & 15 == 15 and skip_spaces(text, position + 1, end) == end


@nb.njit(
    nb.void(BYTES_TYPE, WORDS_TYPE, NUMBERS_TYPE, NUMBERS_TYPE, NUMBERS_TYPE, FLAGS_TYPE, COLUMNS_TYPE),
    **KERNEL_OPTIONS,
)
def _parse_lines(
    text: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    limits: npt.NDArray[np.int64],
    taken: npt.NDArray[np.bool_],
    columns: npt.NDArray[np.int64],
) -> None:
    model = -1
    for row in range(len(starts)):
        taken[row] = model >= 0 and take_alike(text, words, starts, ends, row, model, limits, columns)
        if not taken[row]:
            taken[row] = _take_line(text, starts[row], ends[row], row, limits, columns)
            model = row if taken[row] else model


@nb.njit(nb.int64(BYTES_TYPE, NUMBERS_TYPE, NUMBERS_TYPE, NUMBERS_TYPE, COLUMNS_TYPE), **KERNEL_OPTIONS)
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
