"""What a zone's live records say now: power, energy of the running window, freshness (design section 3). Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.instants import window_start
from shared.limits import LIVE_RECORD_S_MAX, QUARTER_S, READINGS_SILENT_S_MAX
from shared.live_record import LiveRecord


@dataclass(frozen=True, slots=True)
class Flows:
    """What goes through a zone: power (W) or energy (Wh), by kind of flow."""

    withdrawn: int
    injected: int
    charged: int
    discharged: int

    @property
    def demand(self) -> int:
        """Withdrawn and charged (design rule 7)."""
        return self.withdrawn + self.charged

    @property
    def supply(self) -> int:
        """Injected and discharged (design rule 7)."""
        return self.injected + self.discharged

    @property
    def net(self) -> int:
        """Positive for import (design section 4)."""
        return self.demand - self.supply


@dataclass(frozen=True, slots=True)
class RunningWindow:
    """The window in which now lies."""

    start_s: int
    elapsed_s: int
    so_far_wh: Flows
    expected_net_wh: int
    """Where it will end, positive for import."""


@dataclass(frozen=True, slots=True)
class ZoneLive:
    """A zone now."""

    now_s: int | None
    meters: int
    heard: int
    newest_s: int | None
    power_w: Flows | None
    """None as long as nothing has been heard of the zone: unknown is not zero."""
    soc_wh: int | None
    window: RunningWindow | None
    stale_reasons: Sequence[str]
    """Why the zone is stale, for people; empty when it is not."""

    @property
    def stale(self) -> bool:
        """Whether the zone is stale (design section 3)."""
        return bool(self.stale_reasons)


def work_out(
    records: Sequence[LiveRecord], meters: int, *, now_s: int | None, wall_s: float, event_mode: bool
) -> ZoneLive:
    """The zone of which the partitions wrote `records`, and in which `meters` meters are valid.

    Ages are computed here, when somebody reads: so they grow, and the zone turns stale, when the balancer is dead.
    """
    awake = [record for record in records if not silence(record, wall_s, event_mode)]
    heard = min(sum(record.heard for record in awake), meters)
    instants = [record.newest_s for record in records if record.newest_s is not None]
    contents = [record.soc_wh for record in records if record.soc_wh is not None]
    known = [record for record in records if record.newest_s is not None]
    reasons = list(_stale_reasons(records, meters, heard, now_s, wall_s, event_mode))
    return ZoneLive(
        now_s=now_s,
        meters=meters,
        heard=heard,
        newest_s=max(instants, default=None),
        power_w=_power(known) if known else None,
        soc_wh=sum(contents) if contents else None,
        window=_window(records, now_s) if now_s is not None else None,
        stale_reasons=reasons,
    )


def silence(record: LiveRecord, wall_s: float, event_mode: bool) -> str:
    """Why a record's meters count as not heard; empty when they may count."""
    if wall_s - record.written_at_s > LIVE_RECORD_S_MAX:
        return f"the balancer of partition {record.partition} has not written for {int(wall_s - record.written_at_s)} s"
    if event_mode and record.meters:
        if record.last_received_at_s is None:
            return f"partition {record.partition} has had no reading yet"
        silent_s = int(wall_s - record.last_received_at_s)
        if silent_s > READINGS_SILENT_S_MAX:
            return f"partition {record.partition} has had no reading for {silent_s} s"
    return ""


def _stale_reasons(
    records: Sequence[LiveRecord], meters: int, heard: int, now_s: int | None, wall_s: float, event_mode: bool
) -> Iterable[str]:
    if now_s is None:
        yield "no reading has come yet"
    elif heard == 0 or 2 * heard < meters:
        yield f"{heard} of {meters} meters heard within two of their cadences and a minute"
    else:
        return
    for record in records:
        why = silence(record, wall_s, event_mode)
        if why:
            yield why


def _power(records: Sequence[LiveRecord]) -> Flows:
    return Flows(
        withdrawn=sum(record.withdrawn_w for record in records),
        injected=sum(record.injected_w for record in records),
        charged=sum(record.charged_w for record in records),
        discharged=sum(record.discharged_w for record in records),
    )


def _window(records: Sequence[LiveRecord], now_s: int) -> RunningWindow:
    start_s = window_start(now_s)
    running = [record for record in records if record.window_start_s == start_s]
    expected = Flows(
        withdrawn=sum(record.withdrawn_expected_wh for record in running),
        injected=sum(record.injected_expected_wh for record in running),
        charged=sum(record.charged_expected_wh for record in running),
        discharged=sum(record.discharged_expected_wh for record in running),
    )
    so_far = Flows(
        withdrawn=sum(record.withdrawn_wh for record in running),
        injected=sum(record.injected_wh for record in running),
        charged=sum(record.charged_wh for record in running),
        discharged=sum(record.discharged_wh for record in running),
    )
    return RunningWindow(start_s, min(now_s - start_s, QUARTER_S), so_far, expected.net)
