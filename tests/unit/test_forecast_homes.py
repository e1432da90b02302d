"""Forecasts of fifteen real homes: how good they are, and that the history is what the registers say."""

from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from deploy.command_line import make_app
from deploy.forecast.from_files import read_history
from deploy.forecast.report import scores_by_horizon
from shared.errors import BilansError
from shared.forecast.history import History
from shared.forecast.walk_forward import newest_weeks, walk_forward

HOMES = Path(__file__).parents[1] / "data" / "homes"


@pytest.fixture(scope="module")
def homes() -> tuple[list[str], History]:
    return read_history(HOMES, HOMES / "readings.parquet")


def test_the_history_is_what_the_registers_say(homes: tuple[list[str], History]) -> None:
    zones, history = homes
    readings = pq.read_table(HOMES / "readings.parquet")
    rows = zip(
        readings["meter"].to_pylist(), readings["register"].to_pylist(), readings["value"].to_pylist(), strict=True
    )
    first: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    for meter, register, value in rows:  # sorted by time
        first.setdefault((meter, register), value)
        last[meter, register] = value
    for register, found in (("1.8.0", history.demand_wh), ("2.8.0", history.supply_wh)):
        risen = {series: last[series] - first[series] for series in first if series[1] == register}
        assert found[zones.index("CLUSTER")].sum() == sum(risen.values())
    assert history.known.sum(axis=1).tolist() == [8760 * 4] * len(zones)
    assert np.array_equal(history.net_wh[zones.index("MV-A")], history.net_wh[zones.index("CLUSTER")])


def test_a_day_ahead_it_is_a_sixth_better_than_the_better_naive_one(homes: tuple[list[str], History]) -> None:
    """What is measured is 20 %; what must be shown is 10 %."""
    _, whole = homes
    history = whole.of(slice(0, 1))
    walk = walk_forward(history, *newest_weeks(history, 13))
    scores = scores_by_horizon(walk, 0)
    day_ahead = scores["day-ahead"]
    assert min(day_ahead.skill_daily, day_ahead.skill_weekly) > 1 / 6
    assert 0.77 < day_ahead.coverage < 0.83
    assert day_ahead.windows > 2 * 89 * 96
    errors = [scores[name].mae_kw for name in ("0-1 h", "1-4 h", "4-12 h", "12-24 h", "24-48 h")]
    assert errors == sorted(errors)
    for one in scores.values():  # quantiles that are right cost less than the middle in their place
        assert one.pinball_kw[0] < one.pinball_kw[1] and one.pinball_kw[2] < one.pinball_kw[1]


def test_the_command_ends_with_a_line_of_json() -> None:
    arguments = ["--topology", str(HOMES), "--readings", str(HOMES / "readings.parquet"), "--zone", "LV-A1"]
    answer = CliRunner().invoke(make_app("forecast"), ["forecast", "evaluate", *arguments, "--weeks", "1", "--json"])
    assert answer.exit_code == 0, answer.output
    line = orjson.loads(answer.output.splitlines()[-1])
    assert line["zone"] == "LV-A1"
    assert list(line["horizons"]) == ["0-1_h", "1-4_h", "4-12_h", "12-24_h", "24-48_h", "day-ahead"]
    assert line["horizons"]["day-ahead"]["mae_kw"] > 0


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("meter,register,ts,value\nnobody,1.8.0,2026-05-01T10:15:00Z,5\n")
    with pytest.raises(BilansError, match="no energy of any meter"):
        read_history(HOMES, other)
