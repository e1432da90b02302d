"""The fastest way through JSON deliveries: a line that is like an earlier one but for its values.

A producer writes all its lines in one form. Where everything around the values has the same bytes as in a line that was
parsed, only the values are left to be read: that takes half of the time.
"""

import numba as nb
import numpy as np
import numpy.typing as npt

from services.ingest.json_values import digits, instant_s, string_end, whole_number_end
from services.ingest.kernel_options import KERNEL_OPTIONS
from services.ingest.line_columns import (
    BYTES_TYPE,
    COLUMNS_TYPE,
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
)
from services.ingest.text_words import WORDS_TYPE


@nb.njit(nb.uint64(nb.int64), **KERNEL_OPTIONS)
def _first_bytes(count: int) -> int:
    """A mask of the first `count` bytes of a word, one to seven; the machine has the first byte lowest."""
    return (np.uint64(1) << np.uint64(8 * count)) - np.uint64(1)  # type: ignore[return-value]  # one kind of integer


@nb.njit(nb.boolean(WORDS_TYPE, nb.int64, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _is_same(words: npt.NDArray[np.uint64], start: int, end: int, distance: int) -> bool:
    """Whether the text from `start` to `end` stands `distance` further on, too."""
    while start + 8 <= end:
        if words[start] != words[start + distance]:
            return False
        start += 8
    return bool(start == end or (words[start] ^ words[start + distance]) & _first_bytes(end - start) == 0)


@nb.njit(nb.boolean(WORDS_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _is_plain(words: npt.NDArray[np.uint64], start: int, end: int) -> bool:
    """Whether no quote, backslash or control character stands from `start` to `end`.

    All eight bytes of a word are tried at once: b − n borrows, which sets its highest bit, where b is below n. A borrow
    may make the byte above look special, too; then the line is parsed as any other.
    """
    ones, highest = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
    special = np.uint64(0)
    while start < end:
        word = words[start]
        quote, backslash = word ^ (ones * np.uint64(34)), word ^ (ones * np.uint64(92))
        below = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((word - ones * np.uint64(32)) & ~word)
        special |= below & (highest if end - start >= 8 else highest & _first_bytes(end - start))
        start += 8
    return bool(special == 0)


@nb.njit(
    nb.boolean(WORDS_TYPE, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64, nb.int64, COLUMNS_TYPE),
    **KERNEL_OPTIONS,
)
def _is_alike(
    words: npt.NDArray[np.uint64],
    start: int,
    ts_end: int,
    value_end: int,
    end: int,
    distance: int,
    rest_distance: int,
    model: int,
    columns: npt.NDArray[np.int64],
) -> bool:
    """Whether all but the values of the row `model` stands `distance` on, and what follows the number `rest_distance`.

    Also whether names stand where names stand in the model, which goes from `start` to `end`.
    """
    meter_start, meter_end = columns[METER_START, model], columns[METER_END, model]
    register_start, register_end = columns[REGISTER_START, model], columns[REGISTER_END, model]
    return bool(
        _is_same(words, start, meter_start, distance)
        and _is_same(words, meter_end, register_start, distance)
        and _is_same(words, register_end, columns[TS_START, model], distance)
        and _is_same(words, ts_end, columns[VALUE_START, model], distance)
        and _is_same(words, value_end, end, rest_distance)
        and _is_plain(words, meter_start + distance, meter_end + distance)
        and _is_plain(words, register_start + distance, register_end + distance)
    )


@nb.njit(
    nb.boolean(BYTES_TYPE, WORDS_TYPE, NUMBERS_TYPE, NUMBERS_TYPE, nb.int64, nb.int64, NUMBERS_TYPE, COLUMNS_TYPE),
    **KERNEL_OPTIONS,
)
def take_alike(
    text: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    row: int,
    model: int,
    limits: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> bool:
    """Fills the row's columns when it is like the row `model`, with names and an instant as long as there.

    Its number may be longer or shorter. Only lines with their fields in the order meter, register, ts, value are taken.
    """
    end, model_end, distance = ends[row], ends[model], starts[row] - starts[model]
    ts_start, value_start = columns[TS_START, model], columns[VALUE_START, model]
    in_order = columns[METER_END, model] < columns[REGISTER_START, model] < ts_start < value_start
    # Words are read beyond the ends of both lines.
    if not in_order or end - starts[row] > limits[0] or max(end, model_end) + 8 > len(text):
        return False
    ts_end = string_end(text, ts_start, model_end)
    model_value_end = whole_number_end(text, value_start, model_end)
    value_end = whole_number_end(text, value_start + distance, end)
    if value_end < 0 or end - value_end != model_end - model_value_end:
        return False
    rest_distance = value_end - model_value_end
    if not _is_alike(words, starts[model], ts_end, model_value_end, model_end, distance, rest_distance, model, columns):
        return False
    ts_s = columns[TS_S, model]
    if not _is_same(words, ts_start, ts_end, distance):
        ts_s = instant_s(text, ts_start + distance, ts_end + distance)
    number = digits(text, value_start + distance, value_end - value_start - distance)
    if ts_s < limits[1] or ts_s > limits[2] or number > limits[3]:
        return False
    for column in (METER_START, METER_END, REGISTER_START, REGISTER_END):
        columns[column, row] = columns[column, model] + distance
    columns[TS_S, row], columns[VALUE, row], columns[VERSION, row] = ts_s, number, columns[VERSION, model]
    return True
