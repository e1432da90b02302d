"""How often each fault is tried: `BILANS_TEST_FAULTS` is `ci` (`bilans test --faults-ci`) or `full` (`--faults`)."""

import os
from collections.abc import Sequence

VARIABLE = "BILANS_TEST_FAULTS"
TIER = os.environ.get(VARIABLE, "")


def times(ci: int, full: int) -> Sequence[int]:
    """The numbers of the rounds of one fault in this tier, for `pytest.mark.parametrize`."""
    return range(either(ci, full))


def either(ci: int, full: int) -> int:
    """The figure of this tier."""
    return full if TIER == "full" else ci
