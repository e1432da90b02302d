"""The report of a trial of baselines: a table for people, one line of JSON for machines."""

from collections.abc import Mapping
from dataclasses import asdict

import orjson
from rich.table import Table

from shared.flexibility.baseline import Method
from shared.flexibility.baseline_choice import Measured
from shared.flexibility.baseline_trial import Trial


def table_of(title: str, trials: Mapping[str, Trial]) -> Table:
    """A row for each time of the day: relative RMSE and bias of each method, and of what would have been chosen."""
    table = Table(
        title=title, caption="relative RMSE (bias), in percent", box=None, header_style="bold", pad_edge=False
    )
    for name in ("event", *Method, "accepted", "on days", "none accepted", "on days"):
        table.add_column(name, justify="left" if name == "event" else "right")
    for name, trial in trials.items():
        chosen = [cell for one in (trial.accepted, trial.fallback) for cell in (_told(one), str(one.days))]
        table.add_row(name, *(_told(trial.by_method.get(method)) for method in Method), *chosen)
    return table


def last_line(zone: str, minutes: int, ahead_minutes: int, trials: Mapping[str, Trial], seconds: float) -> str:
    """All of it as one JSON object."""
    line = {
        "zone": zone,
        "minutes": minutes,
        "ahead_minutes": ahead_minutes,
        "events": {
            name: {
                "methods": {str(method): asdict(measured) for method, measured in trial.by_method.items()},
                "accepted": asdict(trial.accepted),
                "none_accepted": asdict(trial.fallback),
            }
            for name, trial in trials.items()
        },
        "seconds": round(seconds, 3),
    }
    return orjson.dumps(line).decode()


def _told(measured: Measured | None) -> str:
    if measured is None or measured.rrmse is None or measured.bias is None:
        return "–"
    return f"{100 * measured.rrmse:.0f} ({100 * measured.bias:+.0f})"
