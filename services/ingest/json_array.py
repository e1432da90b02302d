"""The elements of a JSON array, found without making objects of them."""

import numba as nb
import numpy as np
import numpy.typing as npt

from services.ingest.kernel_options import KERNEL_OPTIONS

_bytes = nb.types.Array(nb.uint8, 1, "C", readonly=True)
_numbers = nb.types.Array(nb.int64, 1, "C")


def find_elements(
    text: npt.NDArray[np.uint8], elements_max: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """Starts and ends of the elements of the array that `text` is, without the spaces around them.

    None when `text` does not begin and end like an array, or has an element of no text. An element may still be no
    JSON; when each is, so is the whole. With more than `elements_max` it stops after one more.
    """
    at_most = min(int(np.count_nonzero(text == ord(","))), elements_max) + 1
    starts, ends = np.empty(at_most, np.int64), np.empty(at_most, np.int64)
    count = _find_elements(text, starts, ends)
    return None if count < 0 else (starts[:count].copy(), ends[:count].copy())


@nb.njit(nb.boolean(nb.uint8), **KERNEL_OPTIONS)
def _is_space(byte: int) -> bool:
    return byte == 32 or byte == 10 or byte == 13 or byte == 9


@nb.njit(nb.int64(_bytes, nb.int64), **KERNEL_OPTIONS)
def _after_element(text: npt.NDArray[np.uint8], position: int) -> int:
    """Where the comma or bracket stands that ends the element at `position`; −1 when the text ends before."""
    depth, in_string = 0, False
    while position < len(text):
        byte = text[position]
        if in_string:
            if byte == 92:
                position += 1
            elif byte == 34:
                in_string = False
        elif byte == 34:
            in_string = True
        elif byte == 91 or byte == 123:
            depth += 1
        elif depth == 0 and (byte == 44 or byte == 93):
            return position
        elif byte == 93 or byte == 125:
            depth -= 1
        position += 1
    return -1


@nb.njit(nb.int64(_bytes, _numbers, _numbers), **KERNEL_OPTIONS)
def _find_elements(text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> int:
    """Fills starts and ends, as many as there is room for; how many, or −1."""
    first, last = 0, len(text) - 1
    while first < len(text) and _is_space(text[first]):
        first += 1
    while last > first and _is_space(text[last]):
        last -= 1
    if last <= first or text[first] != 91 or text[last] != 93:
        return -1
    position, count = first + 1, 0
    while True:
        while position < last and _is_space(text[position]):
            position += 1
        if position == last and count == 0:
            return 0  # an empty array
        after = _after_element(text, position)
        if after < 0 or after == position:
            return -1
        end = after
        while _is_space(text[end - 1]):
            end -= 1
        starts[count], ends[count] = position, end
        count += 1
        position = after + 1
        if count == len(starts) and text[after] == 44:
            return count
        if text[after] == 93:
            return count if after == last else -1
