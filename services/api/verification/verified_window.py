"""A window of an order, verified: its figures, what changed since they were last told, and in which words. No I/O."""

from dataclasses import dataclass, replace
from decimal import Decimal

from services.api.verification.settled_order import SettledOrder, money
from shared.flexibility.settlement import settle_window
from shared.stages import Stage


@dataclass(frozen=True, slots=True)
class ActualWindow:
    """What the zone did in a window."""

    start_s: int
    net_wh: int
    known: int
    """Series that are known."""
    missing: int
    """Series that are not."""


@dataclass(frozen=True, slots=True)
class VerifiedWindow:
    """A revision of a window's figures: a row of `flexibility_verification`."""

    start_s: int
    revision: int
    baseline_wh: int
    actual_wh: int
    ordered_wh: int
    delivered_wh: int
    """What is paid: not less than nothing, not more than was ordered."""
    deficiency_wh: int
    amount: Decimal
    missing: int
    stage: str
    note: str


def may_settle(actual: ActualWindow, stage: Stage, *, told: bool) -> bool:
    """Whether the window can be told anything of yet; `told`: it was before.

    Until 09:00 of D+1 a window waits for all its series; then what is known has to do. Nothing known is no figure ever.
    """
    return actual.known > 0 and (told or actual.missing == 0 or stage is not Stage.LIVE)


def verify_window(
    order: SettledOrder, actual: ActualWindow, baseline_wh: int, setpoint_w: int, stage: Stage, penalty_percent: int
) -> VerifiedWindow:
    """The figures of a window, as a first revision."""
    ordered_wh = order.ordered_wh(setpoint_w)
    sign = 1 if order.up else -1
    settled = settle_window(
        sign * baseline_wh,
        sign * actual.net_wh,
        ordered_wh,
        order.price_per_wh,
        order.penalty_per_wh(penalty_percent),
    )
    return VerifiedWindow(
        start_s=actual.start_s,
        revision=1,
        baseline_wh=baseline_wh,
        actual_wh=actual.net_wh,
        ordered_wh=ordered_wh,
        delivered_wh=settled.credited_wh,
        deficiency_wh=settled.deficiency_wh,
        amount=money(settled.amount),
        missing=actual.missing,
        stage=stage,
        note=f"{actual.missing} series are missing." if actual.missing else "",
    )


def revised(told: VerifiedWindow | None, found: VerifiedWindow) -> VerifiedWindow | None:
    """`found` as the revision after `told`, with a note of what changed; None where nothing did."""
    if told is None:
        return found
    changes = [
        f"{name} {before} → {after}{unit}"
        for name, before, after, unit in (
            ("actual", told.actual_wh, found.actual_wh, " Wh"),
            ("baseline", told.baseline_wh, found.baseline_wh, " Wh"),
            ("ordered", told.ordered_wh, found.ordered_wh, " Wh"),
            ("missing", told.missing, found.missing, ""),
            ("stage", told.stage, found.stage, ""),
        )
        if before != after
    ]
    if not changes:
        return None
    if told.amount != found.amount:
        difference = found.amount - told.amount
        changes.append(
            f"amount {_plain(told.amount)} → {_plain(found.amount)} ({'+' * (difference > 0)}{_plain(difference)})"
        )
    return replace(found, revision=told.revision + 1, note="; ".join(changes))


def _plain(amount: Decimal) -> str:
    """An amount without exponent or superfluous zeros."""
    return f"{amount.normalize():f}"
