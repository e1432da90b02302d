"""Assets as tests write them down: a row each of what the topology says and of what the meter tells."""

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from shared.flexibility.assets import NEVER_DUE_S, Assets, MetersNow, asset_terms, assets_now
from shared.topology.rows import Asset
from shared.words import AssetKind


@dataclass(frozen=True)
class Row:
    """An asset and its meter; `_kw` and `_kwh` as in assets.csv, what the meter tells in W and Wh."""

    kind: str = "storage"
    up_kw: str | None = None
    down_kw: str | None = None
    energy_kwh: str | None = None
    efficiency: str | None = None
    reserve_kwh: str | None = None
    due_kwh: str | None = None
    cost_per_mwh: str | None = None
    withdrawn_w: int = 0
    injected_w: int = 0
    content_wh: int | None = None
    content_sent: bool | None = None
    heard: bool = True
    due_in_s: int = NEVER_DUE_S
    max_w: int = 200_000_000
    zone: int = 0
    name: str = field(default="")

    def asset(self) -> Asset:
        def number(text: str | None) -> Decimal | None:
            return None if text is None else Decimal(text)

        return Asset(
            asset=self.name,
            meter=f"meter of {self.name}",
            kind=AssetKind(self.kind),
            up_kw=number(self.up_kw),
            down_kw=number(self.down_kw),
            energy_kwh=number(self.energy_kwh),
            efficiency=number(self.efficiency),
            cost_per_mwh=number(self.cost_per_mwh),
            reserve_kwh=number(self.reserve_kwh),
            due_kwh=number(self.due_kwh),
            due_at=None if self.due_in_s == NEVER_DUE_S else "07:00",
            rebound=None,
        )


def assets_of(*rows: Row) -> Assets:
    """What the assets may give and take."""
    known = [row.content_wh is not None and row.heard for row in rows]
    sent = [row.content_wh is not None if row.content_sent is None else row.content_sent for row in rows]
    meters = MetersNow(
        heard=np.array([row.heard for row in rows], np.bool_),
        withdrawn_w=np.array([row.withdrawn_w for row in rows], np.int64),
        injected_w=np.array([row.injected_w for row in rows], np.int64),
        content_wh=np.array([row.content_wh or 0 for row in rows], np.int64),
        content_heard=np.array(known, np.bool_),
        content_sent=np.array(sent, np.bool_),
        max_w=np.array([row.max_w for row in rows], np.int64),
    )
    return assets_now(
        asset_terms([row.asset() for row in rows]),
        meters,
        np.array([row.zone for row in rows], np.int32),
        np.array([row.due_in_s for row in rows], np.int64),
    )
