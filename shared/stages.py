"""How far a figure of a window is settled (design section 8): meters' data may come late, and figures say so. Pure."""

from datetime import datetime, time, timedelta
from enum import StrEnum

from shared.instants import WARSAW, local_day


class Stage(StrEnum):
    """The stages of a figure, from the least to the most settled.

    The distribution operator has 90 % of the data at 09:00 of D+1, 94 % at 12:00 of D+3 and 96 % on D+7 (Dz.U. 2022
    poz. 788 § 16), D being the window's local day.
    """

    LIVE = "live"
    D1 = "D+1"
    D3 = "D+3"
    D7 = "D+7"
    FINAL = "final"


_BEGINS = ((Stage.D7, 7, time(0)), (Stage.D3, 3, time(12)), (Stage.D1, 1, time(9)))
"""Each stage, how many days after the window's it begins, and at which local time."""


def stage_of(window_start_s: int, now_s: int) -> Stage:
    """The stage of a window at `now_s`. FINAL is never among them: only closing the month makes a figure final."""
    for stage, days, at in _BEGINS:
        if now_s >= _local_instant_s(window_start_s, days, at):
            return stage
    return Stage.LIVE


def _local_instant_s(window_start_s: int, days: int, at: time) -> int:
    day = local_day(window_start_s) + timedelta(days=days)
    return int(datetime.combine(day, at, WARSAW).timestamp())
