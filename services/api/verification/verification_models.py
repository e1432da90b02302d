"""The answers about an order's baseline, verification and settlement as models, for `/openapi.json`."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.api.answers import INSTANT
from shared.stages import Stage


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BaselineWindow(_Answer):
    """A window of a frozen baseline."""

    window_start: str = Field(examples=[INSTANT])
    baseline_kw: float | None = Field(examples=[12.5], description="Net power without any order, positive for import.")


class BaselineTrial(_Answer):
    """How close a method came on days without an event."""

    method: str = Field(examples=["caiso-10-of-10"])
    rrmse: float | None = Field(examples=[0.0812], description="Relative RMSE; null with fewer than 5 days.")
    bias: float | None = Field(examples=[-0.0123], description="Above 0 where it was higher than what came.")
    placebo_days: int = Field(examples=[20])
    accepted: bool = Field(description="Whether its error is known and at most 20 %.")


class BaselineAnswer(_Answer):
    """The baseline that was frozen with an order."""

    method: str = Field(examples=["caiso-10-of-10"], description="`none` where nothing was known to work with.")
    measured: bool = Field(description="Chosen by its error; false marks meter-before for want of a better one.")
    reason: str = Field(examples=["The least error of all methods on 20 days without an event: 8.1 %."])
    rrmse: float | None = Field(examples=[0.0812])
    bias: float | None = Field(examples=[-0.0123])
    digest: str = Field(examples=["9f2c…"], description="SHA-256 of what was frozen.")
    frozen_at: str = Field(examples=["2026-05-04T10:00:00.412345Z"])
    inputs: dict[str, Any] = Field(examples=[{"days": ["2026-04-30"], "adjustment_wh": 120, "adjustment_windows": 12}])
    methods: list[BaselineTrial]
    windows: list[BaselineWindow]


class VerificationRow(_Answer):
    """What a window of an order delivered; null as long as it is not known."""

    window_start: str = Field(examples=[INSTANT])
    baseline_kw: float | None = Field(
        examples=[12.5], description="The frozen one, less what was bought of the zone's assets before this order."
    )
    actual_kw: float | None = Field(examples=[7.5], description="Net power of the zone, positive for import.")
    ordered_kw: float = Field(examples=[5.0])
    delivered_kw: float | None = Field(examples=[5.0], description="0 to what was ordered: what is paid.")
    deficiency_kw: float | None = Field(examples=[0.0], description="What is missing of what was ordered.")
    stage: Stage
    revision: int = Field(examples=[1], description="0 as long as nothing is told.")
    amount: float | None = Field(examples=[0.65], description="In the currency of the assets' costs.")
    missing: int | None = Field(examples=[0], description="Series that are not known; null while the window runs.")
    note: str = Field(examples=["actual 1250 → 1300 Wh; amount 0.65 → 0.6 (-0.05)"])


class SettlementRow(VerificationRow):
    """A revision of a window's figures."""

    known_at: str = Field(examples=["2026-05-04T10:15:02.412345Z"])


class SettlementTotals(_Answer):
    """Sums over the newest revision of each window."""

    windows: int = Field(examples=[4])
    ordered_wh: int = Field(examples=[5000])
    delivered_wh: int = Field(examples=[4800])
    deficiency_wh: int = Field(examples=[200])
    amount: float = Field(examples=[2.4])
    performance: float | None = Field(examples=[0.96], description="Delivered by ordered.")
    rebound_wh: int | None = Field(examples=[300], description="Actual less baseline over the four hours after.")
    rebound_windows: int = Field(examples=[16], description="Of those hours the windows of which both are known.")


class SettlementAnswer(_Answer):
    """How an order was settled."""

    order: str = Field(examples=["ord-1"])
    status: str = Field(examples=["delivered"])
    price_per_kwh: float = Field(examples=[0.52])
    penalty_per_kwh: float = Field(examples=[0.52])
    totals: SettlementTotals
    rows: list[SettlementRow]
    next: str | None = Field(examples=[None], description="The `cursor` of the next page; null at the end.")
