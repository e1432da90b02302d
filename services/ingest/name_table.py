"""Names to numbers, for columns of names: an open hash table in flat arrays, read by a Numba kernel."""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from services.ingest.kernel_options import KERNEL_OPTIONS
from services.ingest.text_words import WORDS_TYPE, words_of

NOT_FOUND = -1

_bytes = nb.types.Array(nb.uint8, 1, "C", readonly=True)
_positions = nb.types.Array(nb.int64, 1, "C", readonly=True)
_indices = nb.types.Array(nb.int32, 1, "C")
_places = nb.types.Array(nb.int32, 1, "C", readonly=True)


@dataclass(frozen=True, slots=True)
class NameTable:
    """Names, each with its index 0 … N − 1."""

    names: npt.NDArray[np.uint8]
    """All names in UTF-8, one after the other."""
    offsets: npt.NDArray[np.int64]
    """N + 1 of them: name k is names[offsets[k]:offsets[k + 1]]."""
    places: npt.NDArray[np.int32]
    """The hash table: a power of two of places, at most half of them taken; NOT_FOUND where free."""

    def find(
        self, text: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int32]:
        """The index of each name text[start:end], NOT_FOUND where there is none or start > end."""
        found = np.empty(len(starts), np.int32)
        words, name_words = words_of(text), words_of(self.names)
        _find_names(text, words, starts, ends, self.names, name_words, self.offsets, self.places, found)
        return found


def build_name_table(names: list[str]) -> NameTable:
    """The table of `names`, which are distinct."""
    encoded = [name.encode() for name in names]
    offsets = np.zeros(len(names) + 1, np.int64)
    np.cumsum([len(name) for name in encoded], out=offsets[1:])
    text = np.frombuffer(b"".join(encoded), np.uint8)
    places = np.full(1 << max(4, (2 * len(names)).bit_length()), NOT_FOUND, np.int32)
    _fill_places(text, words_of(text), offsets, places)
    return NameTable(text, offsets, places)


@nb.njit(nb.uint64(_bytes, WORDS_TYPE, nb.int64, nb.int64), **KERNEL_OPTIONS)
def _hash_of(text: npt.NDArray[np.uint8], words: npt.NDArray[np.uint64], start: int, end: int) -> int:
    """FNV-1a by eight bytes and then by one, folded so that the low bits depend on every byte."""
    mixed = np.uint64(0xCBF29CE484222325)
    position = start
    while position + 8 <= end:
        mixed = (mixed ^ words[position]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
        position += 8
    for place in range(position, end):
        mixed = (mixed ^ np.uint64(text[place])) * np.uint64(0x100000001B3)
    return mixed ^ (mixed >> np.uint64(32))  # type: ignore[return-value]  # to Numba it is one kind of integer


@nb.njit(nb.boolean(_bytes, WORDS_TYPE, nb.int64, nb.int64, _bytes, WORDS_TYPE, nb.int64), **KERNEL_OPTIONS)
def _is_same(
    text: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    start: int,
    end: int,
    names: npt.NDArray[np.uint8],
    name_words: npt.NDArray[np.uint64],
    name_start: int,
) -> bool:
    """Whether what stands from `start` to `end` stands in `names` from `name_start` on."""
    position, distance = start, name_start - start
    while position + 8 <= end and words[position] == name_words[position + distance]:
        position += 8
    while position < end and text[position] == names[position + distance]:
        position += 1
    return position == end


@nb.njit(nb.void(_bytes, WORDS_TYPE, _positions, _indices), **KERNEL_OPTIONS)
def _fill_places(
    names: npt.NDArray[np.uint8],
    name_words: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int64],
    places: npt.NDArray[np.int32],
) -> None:
    mask = np.uint64(len(places) - 1)
    for index in range(len(offsets) - 1):
        place = _hash_of(names, name_words, offsets[index], offsets[index + 1]) & mask
        while places[place] >= 0:
            place = (place + np.uint64(1)) & mask
        places[place] = index


@nb.njit(
    nb.void(_bytes, WORDS_TYPE, _positions, _positions, _bytes, WORDS_TYPE, _positions, _places, _indices),
    **KERNEL_OPTIONS,
)
def _find_names(
    text: npt.NDArray[np.uint8],
    words: npt.NDArray[np.uint64],
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    names: npt.NDArray[np.uint8],
    name_words: npt.NDArray[np.uint64],
    offsets: npt.NDArray[np.int64],
    places: npt.NDArray[np.int32],
    found: npt.NDArray[np.int32],
) -> None:
    mask = np.uint64(len(places) - 1)
    # In two rounds: the second waits for memory, and for several names at once when nothing else stands between them.
    for row in range(len(starts)):
        found[row] = _hash_of(text, words, starts[row], ends[row]) & mask
    for row in range(len(starts)):
        start, end = starts[row], ends[row]
        place = np.uint64(found[row])
        found[row] = -1
        if start > end:
            continue
        while places[place] >= 0:  # ends: half of the places are free
            index = places[place]
            name_start, name_end = offsets[index], offsets[index + 1]
            if name_end - name_start == end - start and _is_same(
                text, words, start, end, names, name_words, name_start
            ):
                found[row] = index
                break
            place = (place + np.uint64(1)) & mask
