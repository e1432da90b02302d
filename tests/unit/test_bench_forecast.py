"""The benchmark of forecasts checks what it measures."""

import numpy as np
import pytest

from deploy.bench import forecast_run
from deploy.bench.forecast_run import forecast_zones
from shared.forecast.all_zones import issue_all
from shared.forecast.history import History
from shared.forecast.issue import Issued
from shared.forecast.model import Model


def test_a_right_run_has_no_difference() -> None:
    run = forecast_zones(4, 14)
    assert (run.unlike_zones, run.without_forecast) == (0, 0)
    assert run.first_cpu_s > run.next_cpu_s > 0


def test_zones_that_are_mixed_up_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed_up(history: History, quarter: int, model: Model | None) -> tuple[Issued, Model]:
        issued, learnt = issue_all(history, quarter, model)
        return Issued(issued.issued_s, np.roll(issued.power_w, 1, axis=0), issued.reason), learnt

    monkeypatch.setattr(forecast_run, "issue_all", mixed_up)
    assert forecast_zones(4, 14).unlike_zones > 0
