"""The report of an evaluation: a table by horizon for people, one line of JSON for machines."""

import math
from dataclasses import asdict

import orjson
from rich.table import Table

from shared.forecast.walk_forward import Scores, Walk, between_hours, day_ahead, score

_HORIZONS_H = ((0, 1), (1, 4), (4, 12), (12, 24), (24, 48))
_DAY_AHEAD = "day-ahead"


def scores_by_horizon(walk: Walk, zone: int) -> dict[str, Scores]:
    """The scores of each stretch of horizons of which anything is known, and of the day-ahead forecasts."""
    chosen = {f"{begin}-{end} h": between_hours(walk, begin, end) for begin, end in _HORIZONS_H}
    scores = {name: score(walk, zone, mask) for name, mask in {**chosen, _DAY_AHEAD: day_ahead(walk)}.items()}
    return {name: found for name, found in scores.items() if found is not None}


def table_of(title: str, scores: dict[str, Scores]) -> Table:
    """The scores as a table."""
    table = Table(title=title, box=None, header_style="bold", pad_edge=False)
    table.add_column("horizon")
    for name in (
        "windows",
        "MAE kW",
        "daily naive",
        "weekly naive",
        "skill daily",
        "skill weekly",
        "pinball P10",
        "P50",
        "P90",
        "in P10-P90",
        "bias kW",
    ):
        table.add_column(name, justify="right")
    for name, one in scores.items():
        table.add_row(
            name,
            f"{one.windows:,}",
            *(f"{value:.3f}" for value in (one.mae_kw, one.daily_mae_kw, one.weekly_mae_kw)),
            *(f"{100 * value:.1f} %" for value in (one.skill_daily, one.skill_weekly)),
            *(f"{value:.3f}" for value in one.pinball_kw),
            f"{100 * one.coverage:.1f} %",
            f"{one.bias_kw:+.3f}",
        )
    return table


def last_line(zone: str, scores: dict[str, Scores], seconds: float) -> str:
    """All of it as one JSON object; what cannot be told is null."""
    by_horizon = {name.replace(" ", "_"): asdict(found) for name, found in scores.items()}
    line = {"zone": zone, "horizons": by_horizon, "seconds": round(seconds, 3)}
    return orjson.dumps(_rounded(line)).decode()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return value
