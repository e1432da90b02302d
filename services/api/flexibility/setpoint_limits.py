"""Which limits of assets some set-points would break, beside what is promised already."""

from collections.abc import Sequence

import numpy as np

from services.api.flexibility.ledger import Promised, promises_of
from services.api.flexibility.request_reading import Answer
from services.api.kilowatts import kilowatts
from services.api.signals.asset_view import AssetsNow
from shared.flexibility.promises import Int64Array, energy_left_ws, power_left_w
from shared.instants import format_instant
from shared.limits import QUARTER_S


def broken_limits(
    assets: Sequence[str], setpoint_w: Int64Array, from_s: int, now: AssetsNow, promised: Sequence[Promised]
) -> list[Answer]:
    """What the assets, all of them in `now`, cannot do of `setpoint_w` [A, W]; up first, then down."""
    index = np.array([now.listed.index[asset] for asset in assets], np.int64)
    promises = promises_of(promised, dict(now.listed.index))
    windows = setpoint_w.shape[1]
    found: list[Answer] = []
    for up, most_w, most_ws in (
        (True, now.columns.up_w, now.columns.up_ws),
        (False, now.columns.down_w, now.columns.down_ws),
    ):
        direction = "up" if up else "down"
        asked_w = np.maximum(setpoint_w if up else -setpoint_w, 0)
        left_w = power_left_w(most_w, promises, up=up, from_s=from_s, windows=windows)[index]
        left_ws = energy_left_ws(most_ws, promises, up=up)[index]
        asked_ws = asked_w.sum(axis=1) * QUARTER_S
        for row in np.flatnonzero(asked_ws).tolist():
            if not now.columns.heard[index[row]]:
                found.append(_broken(assets[row], "silent", None, "It is not heard, so it can promise nothing."))
                continue
            for window in np.flatnonzero(asked_w[row] > left_w[row]).tolist():
                asked_kw, left_kw = kilowatts(int(asked_w[row, window])), kilowatts(int(left_w[row, window]))
                detail = f"{asked_kw} kW {direction} are asked for; {left_kw} kW are left."
                found.append(_broken(assets[row], "power", format_instant(from_s + window * QUARTER_S), detail))
            if asked_ws[row] > left_ws[row]:
                asked_wh, left_wh = int(asked_ws[row]) // 3600, int(left_ws[row]) // 3600
                detail = f"{asked_wh} Wh {direction} are asked for; {left_wh} Wh are left."
                found.append(_broken(assets[row], "energy", None, detail))
    return found


def _broken(asset: str, limit: str, window_start: str | None, detail: str) -> Answer:
    return {"asset": asset, "limit": limit, "window_start": window_start, "detail": detail}
