"""An order's baseline, verification and settlement as the API tells them: power in kW, money in the currency."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.api.balance_text import format_microseconds
from services.api.topology_terms import TopologyTerms
from services.api.verification.order_setpoints import own_setpoints_w
from services.api.verification.order_verification import held_against_wh, read_actual
from services.api.verification.settled_order import SettledOrder
from services.api.verification.verification_store import newest_revisions, read_order
from services.api.verification.verified_window import ActualWindow, VerifiedWindow
from shared.database.flexibility_tables import flexibility_baseline
from shared.flexibility.baseline_days import AFTER_WINDOWS
from shared.instants import format_instant
from shared.limits import QUARTER_S

Answer = dict[str, Any]

_WAITS = "Waits until all series of the window are known, at most until 09:00 of D+1."
_NO_BASELINE = "There is no baseline, so nothing can be verified."


async def baseline_of(connection: AsyncConnection, order_id: str) -> Answer | None:
    """The frozen baseline of an order as its answer tells it; None when there is no such order."""
    table = flexibility_baseline
    row = (await connection.execute(select(table).where(table.c.order_id == order_id))).one_or_none()
    if row is None:
        return None
    content = row.content
    return {
        "method": row.method,
        "measured": content["measured"],
        "reason": row.reason,
        "rrmse": None if row.rrmse is None else float(row.rrmse),
        "bias": None if row.bias is None else float(row.bias),
        "digest": row.digest,
        "frozen_at": instant_text(row.created_at),
        "inputs": content["inputs"],
        "methods": [{name: tried[name] for name in tried if name != "baseline_wh"} for tried in content["methods"]],
        "windows": [
            {"window_start": window["window_start"], "baseline_kw": window_kw(window["baseline_wh"])}
            for window in content["windows"]
        ],
    }


async def verification_of(
    connection: AsyncConnection, order_id: str, terms: TopologyTerms, now_s: int | None
) -> list[Answer]:
    """What each window of an order delivered, as far as it is known at `now_s`; a window that is to come has nulls.

    Empty when there is no such order.
    """
    order = await read_order(connection, order_id)
    if order is None:
        return []
    setpoints_w = await own_setpoints_w(connection, order_id)
    told = await newest_revisions(connection, order_id)
    baseline_wh = await held_against_wh(connection, order, terms)
    actual = {} if now_s is None else {row.start_s: row for row in await read_actual(connection, order, terms, now_s)}
    rows = []
    for start, setpoint_w in setpoints_w.items():
        if (ordered_wh := order.ordered_wh(setpoint_w)) > 0 or start in told:
            waiting = waiting_row(start, baseline_wh.get(start), ordered_wh, actual.get(start))
            rows.append(verified_row(told[start]) if start in told else waiting)
    return rows


def verified_row(row: VerifiedWindow) -> Answer:
    """A window of which something has been told."""
    return {
        "window_start": format_instant(row.start_s),
        "baseline_kw": window_kw(row.baseline_wh),
        "actual_kw": window_kw(row.actual_wh),
        "ordered_kw": window_kw(row.ordered_wh),
        "delivered_kw": window_kw(row.delivered_wh),
        "deficiency_kw": window_kw(row.deficiency_wh),
        "stage": row.stage,
        "revision": row.revision,
        "amount": float(row.amount),
        "missing": row.missing,
        "note": row.note,
    }


def waiting_row(start_s: int, baseline_wh: int | None, ordered_wh: int, actual: ActualWindow | None) -> Answer:
    """A window of which nothing can be told yet; `actual` is None as long as it has not ended."""
    note = "" if actual is None else _WAITS
    return {
        "window_start": format_instant(start_s),
        "baseline_kw": window_kw(baseline_wh),
        "actual_kw": None,
        "ordered_kw": window_kw(ordered_wh),
        "delivered_kw": None,
        "deficiency_kw": None,
        "stage": "live",
        "revision": 0,
        "amount": None,
        "missing": None if actual is None else actual.missing,
        "note": _NO_BASELINE if baseline_wh is None else note,
    }


def totals(order: SettledOrder, rows: Sequence[VerifiedWindow], after: Sequence[ActualWindow]) -> Answer:
    """The sums over the windows that have been told, and what came back in the four hours after.

    `performance` is Σ delivered / Σ ordered; `rebound_wh` Σ (actual − baseline) over the `rebound_windows` of which
    both are known, for downward flexibility as well: positive where more was withdrawn than without the order.
    """
    ordered_wh, delivered_wh = sum(row.ordered_wh for row in rows), sum(row.delivered_wh for row in rows)
    rebound_wh = rebounds_wh(order.after_wh(), after)
    return {
        "windows": len(rows),
        "ordered_wh": ordered_wh,
        "delivered_wh": delivered_wh,
        "deficiency_wh": sum(row.deficiency_wh for row in rows),
        "amount": float(sum(row.amount for row in rows)),
        "performance": round(delivered_wh / ordered_wh, 4) if ordered_wh else None,
        "rebound_wh": sum(rebound_wh) if rebound_wh else None,
        "rebound_windows": len(rebound_wh),
    }


def rebounds_wh(baseline_wh: Mapping[int, int], after: Sequence[ActualWindow]) -> list[int]:
    """Actual less baseline of each window after an order of which all is known."""
    return [
        window.net_wh - baseline_wh[window.start_s]
        for window in after
        if window.start_s in baseline_wh and window.known > 0 and window.missing == 0
    ]


AFTER_S = AFTER_WINDOWS * QUARTER_S
"""How long after an order what comes back is counted."""


def window_kw(energy_wh: int | None) -> float | None:
    """The mean power of a window of so much energy."""
    return None if energy_wh is None else 4 * energy_wh / 1000


def instant_text(instant: datetime) -> str:
    """An instant of the database with its microseconds."""
    return format_microseconds(int(instant.timestamp()) * 1_000_000 + instant.microsecond)
