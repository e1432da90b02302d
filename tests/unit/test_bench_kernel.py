"""The kernel's benchmark checks what it measures."""

import numpy as np
import pytest

from deploy.bench import kernel_run
from deploy.bench.kernel_run import measure_kernel, measure_reference
from shared.balance.memory import CAPACITIES


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_right_run_has_no_difference(shuffled: bool) -> None:
    run = measure_kernel(1_001, 2, shuffled=shuffled)
    assert run.difference_wh == 0
    assert run.ns > 0 and run.cpu_ns > 0
    assert run.state_bytes is not None and run.state_bytes > 16 * CAPACITIES[0]


def test_a_wrong_sum_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One reading of one Wh more than the formula says is a difference, in that window and the next."""
    right = kernel_run.value_wh

    def wrong(slots: np.ndarray, number: int) -> np.ndarray:
        values = right(slots, number)
        values[7] += number == 3
        return values

    monkeypatch.setattr(kernel_run, "value_wh", wrong)
    assert measure_kernel(300, 2, shuffled=False).difference_wh == 2


def test_the_reference_is_checked_too() -> None:
    assert measure_reference().difference_wh == 0
