"""Settlement of a window: the vectors of the contract, and what must hold of all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.flexibility.settlement import settle_window


@pytest.mark.parametrize(("actual", "amount"), [(7, 14), (8, 14), (9, -4), (10, -22), (11, -33)])
def test_the_vectors(actual: int, amount: int) -> None:
    """Baseline 10, ordered 2, price 7, penalty 11."""
    assert settle_window(10, actual, 2, 7, 11).amount == amount


quantities = st.integers(0, 10**9)


@given(quantities, quantities, quantities, st.integers(0, 1000), st.integers(0, 1000))
def test_more_delivered_is_never_worth_less(baseline: int, actual: int, ordered: int, price: int, penalty: int) -> None:
    settled = settle_window(baseline, actual, ordered, price, penalty)
    assert 0 <= settled.credited_wh <= ordered
    assert settled.amount <= ordered * price
    if actual > 0:
        assert settle_window(baseline, actual - 1, ordered, price, penalty).amount >= settled.amount
    if settled.delivered_wh >= ordered:
        assert settled.amount == ordered * price and settled.deficiency_wh == 0
