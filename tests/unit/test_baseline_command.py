"""`bilans baseline evaluate`: forecasts of a past without foresight, and what the command says."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from deploy.baselines.command import evaluate
from deploy.baselines.forecaster import past_forecasts
from deploy.baselines.weeks import try_at
from deploy.command_line import make_app
from shared.errors import BilansError
from shared.flexibility.baseline import Method
from shared.forecast.history import History

DAYS = 70
FIRST_S = 1_772_323_200  # 1 March 2026, a midnight of UTC
QUARTERS = DAYS * 96


def history(seed: int = 1, changed_from: int = QUARTERS) -> History:
    """A zone that takes 3 kWh a quarter by day and 1 by night, with noise; other figures from a quarter on."""
    hour = np.arange(QUARTERS) // 4 % 24
    demand = np.where((hour >= 8) & (hour < 16), 3000, 1000) + np.random.default_rng(seed).integers(0, 200, QUARTERS)
    demand[changed_from:] = 9999
    return History(FIRST_S, demand[None], np.zeros((1, QUARTERS), np.int64), np.ones((1, QUARTERS), np.bool_))


def test_a_past_forecast_knows_nothing_of_what_came_later() -> None:
    issued = 40 * 96 + 30
    starts = FIRST_S + 900 * (issued + np.arange(8, 12))
    told = [past_forecasts(history(changed_from=end))(FIRST_S + 900 * issued, starts) for end in (QUARTERS, issued)]
    assert told[0] is not None and told[1] is not None and told[0].tolist() == told[1].tolist()
    assert np.abs(told[0] - 3100).max() < 200


def test_there_is_none_before_three_days_and_beyond_48_hours() -> None:
    forecaster = past_forecasts(history())
    issued_s = FIRST_S + 40 * 86400
    assert forecaster(issued_s, np.array([issued_s + 191 * 900])) is not None
    assert forecaster(issued_s, np.array([issued_s + 192 * 900])) is None
    assert forecaster(FIRST_S + 86400, np.array([FIRST_S + 90000])) is None


def test_the_newest_weeks_are_tried() -> None:
    # A history of days of UTC ends at 1 or 2 in the morning: six whole local days are in its newest week.
    [(at, trial)] = try_at(history(), 1, [time(12)], 3600, 3600)
    assert at == time(12)
    assert {method: found.days for method, found in trial.by_method.items()} == dict.fromkeys(Method, 6)
    assert trial.accepted.days == 6 and (trial.accepted.rrmse or 1) < 0.05


def test_the_command_says_what_is_wrong_with_its_options() -> None:
    with pytest.raises(BilansError, match="go together"):
        evaluate(topology=Path("deploy/example"))
    with pytest.raises(BilansError, match="multiple of 15"):
        evaluate(minutes=20)
    with pytest.raises(BilansError, match="where a window begins"):
        evaluate(at=["12:07"])


def test_the_command_ends_with_a_line_of_json(tmp_path: Path) -> None:
    (tmp_path / "zones.csv").write_text("zone,parent,kind\nTown,,cluster\nHill,Town,station\n")
    (tmp_path / "meters.csv").write_text("meter,zone,kind,registers\nload,Hill,consumer,1.8.0\n")
    register = np.cumsum(history().demand_wh[0].reshape(-1, 4).sum(axis=1))[-30 * 24 :].tolist()
    start = datetime.fromtimestamp(FIRST_S, UTC)
    rows = [f"load,1.8.0,{(start + timedelta(hours=hour)).isoformat()},{value}" for hour, value in enumerate(register)]
    (tmp_path / "readings.csv").write_text("\n".join(["meter,register,ts,value", *rows]) + "\n")
    files = ["--topology", str(tmp_path), "--readings", str(tmp_path / "readings.csv")]
    options = ["--zone", "Hill", "--weeks", "1", "--at", "12:00", "--minutes", "30"]
    result = CliRunner().invoke(make_app(called="baseline"), ["baseline", "evaluate", *files, *options])
    assert result.exit_code == 0, result.output
    table, _, line = result.stdout.strip().rpartition("\n")
    found = orjson.loads(line)
    assert (found["zone"], found["minutes"], found["ahead_minutes"]) == ("Hill", 30, 60)
    noon = found["events"].pop("12:00")
    assert not found["events"]
    assert set(noon["methods"]) == {method.value for method in Method}
    assert noon["accepted"]["days"] + noon["none_accepted"]["days"] == 7
    assert noon["accepted"]["rrmse"] < 0.05
    assert all(method.value in table for method in Method)
