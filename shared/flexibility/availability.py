"""How likely an asset does what it is asked, from what its controller answered before."""

import numpy as np
import numpy.typing as npt

PRIOR_ACCEPTED, PRIOR_REFUSED = 19, 1
"""The beta distribution that stands for an asset of which nothing is known: 95 %, worth twenty answers."""


def availability(accepted: npt.NDArray[np.int64], refused: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The mean of the beta distribution after so many orders accepted and refused, 0 to 1."""
    good = PRIOR_ACCEPTED + accepted
    likely: npt.NDArray[np.float64] = good / (good + PRIOR_REFUSED + refused)
    return likely
