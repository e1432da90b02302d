"""Scores of forecasts, worked out by hand."""

import math

import numpy as np
import pytest

from shared.forecast.scores import bias, coverage, mean_absolute_error, pinball, skill

CAME = np.array([10.0, -2.0, 4.0, 0.0])
FORECAST = np.array([8.0, 0.0, 4.0, 1.0])


def test_error_and_bias() -> None:
    assert mean_absolute_error(FORECAST, CAME) == (2 + 2 + 0 + 1) / 4
    assert bias(FORECAST, CAME) == (-2 + 2 + 0 + 1) / 4


def test_pinball_weighs_what_a_quantile_should_not_miss() -> None:
    # P10 above what came costs nine times what it costs below.
    assert pinball(0.1, FORECAST, CAME) == pytest.approx((0.1 * 2 + 0.9 * 2 + 0.9 * 1) / 4)
    assert pinball(0.9, FORECAST, CAME) == pytest.approx((0.9 * 2 + 0.1 * 2 + 0.1 * 1) / 4)
    assert pinball(0.5, FORECAST, CAME) == mean_absolute_error(FORECAST, CAME) / 2


def test_coverage_has_both_ends() -> None:
    assert coverage(np.array([10.0, 0.0, 3.0, 0.5]), np.array([11.0, 1.0, 4.0, 2.0]), CAME) == 0.5


def test_skill() -> None:
    assert skill(4.0, 5.0) == pytest.approx(0.2)
    assert skill(6.0, 5.0) == pytest.approx(-0.2)
    assert math.isnan(skill(1.0, 0.0))
