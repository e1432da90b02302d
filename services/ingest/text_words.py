"""Eight bytes of a text at a time, wherever they begin."""

import numba as nb
import numpy as np
import numpy.typing as npt

WORDS_TYPE = nb.types.Array(nb.uint64, 1, "A", readonly=True, aligned=False)


def words_of(text: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """Element k is the eight bytes of `text` from k on, as one number: a view, nothing is copied."""
    return np.ndarray(max(0, len(text) - 7), np.uint64, buffer=text, strides=(1,))
