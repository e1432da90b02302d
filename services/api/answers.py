"""The answers of the API as models: they describe it in `/openapi.json`, and tests hold real answers to them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.problem import Problem
from shared.words import LightState, MeterKind, Status, ZoneKind

INSTANT = "2026-05-04T10:00:00Z"


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Flow(_Answer):
    """Energy of one kind of meter."""

    withdrawn_wh: int = Field(examples=[500])
    injected_wh: int = Field(examples=[0])


class BalanceRow(_Answer):
    """A zone's balance in one window, hour, day or month (design section 2)."""

    window_start: str = Field(examples=[INSTANT], description="Included.")
    window_end: str = Field(examples=["2026-05-04T10:15:00Z"], description="Not included.")
    withdrawn_wh: int = Field(examples=[500], description="Withdrawn by kinds other than storage.")
    injected_wh: int = Field(examples=[700], description="Injected by kinds other than storage.")
    injected_res_wh: int = Field(examples=[700], description="Injected by pv, wind, hydro, biogas and prosumer.")
    charged_wh: int = Field(examples=[0], description="Withdrawn by storage.")
    discharged_wh: int = Field(examples=[0], description="Injected by storage.")
    pool_drawn_wh: int = Field(examples=[500])
    pool_injected_wh: int = Field(examples=[700])
    by_kind: dict[MeterKind, Flow]
    local_wh: int = Field(examples=[500], description="The lesser of demand and supply.")
    import_wh: int = Field(examples=[0], description="Demand that is not met locally: it flows in.")
    export_wh: int = Field(examples=[200], description="Supply that is not used locally: it flows out.")
    self_sufficiency: float | None = Field(examples=[1.0], description="local / demand; null without demand.")
    self_consumption: float | None = Field(examples=[0.7143], description="local / supply; null without supply.")
    unaccounted_wh: int | None = Field(examples=[10], description="Boundary meters less (demand − supply).")
    losses_wh: int | None = Field(examples=[10], description="The same, when nothing is missing or excluded.")
    expected: int = Field(examples=[4], description="Series that are valid at the window's start.")
    measured: int = Field(examples=[2])
    estimated: int = Field(examples=[2])
    excluded: int = Field(examples=[0], description="Implausible, and so left out of the totals.")
    missing: int = Field(examples=[0])
    revision: int = Field(examples=[4])
    known_at: str = Field(examples=["2026-05-04T10:15:00.412345Z"])
    status: Status


class BalanceAnswer(_Answer):
    """A page of a zone's balance."""

    zone: str = Field(examples=["S"])
    resolution: Literal["15min", "hour", "day", "month"]
    rows: list[BalanceRow]
    next: str | None = Field(examples=[None], description="The `cursor` of the next page; null at the end.")


class ZoneRow(_Answer):
    """A node of the network's tree."""

    zone: str = Field(examples=["S"])
    parent: str | None = Field(examples=["C"])
    kind: ZoneKind
    name: str = Field(examples=["Station"])
    import_limit_kw: float | None = Field(examples=[10])
    export_limit_kw: float | None = Field(examples=[10])
    lat: float | None = Field(examples=[49.685])
    lon: float | None = Field(examples=[19.192])
    meters: int = Field(examples=[3], description="Meters valid now in the zone or below, boundary meters apart.")
    boundary_meters: int = Field(examples=[1], description="The zone's own boundary meters, valid now.")


class ZonesAnswer(_Answer):
    """The tree, parents before children."""

    topology: int = Field(examples=[1])
    rows: list[ZoneRow]
    next: str | None = Field(examples=[None])


class ZoneAnswer(ZoneRow):
    """One zone with its place in the tree."""

    topology: int = Field(examples=[1])
    path: list[str] = Field(examples=[["C", "S"]], description="From the root to the zone.")
    children: list[str] = Field(examples=[[]])
    meters_by_kind: dict[MeterKind, int] = Field(examples=[{"consumer": 1, "pv": 1, "storage": 1}])


class RunningWindowAnswer(_Answer):
    """The window in which now lies."""

    window_start: str = Field(examples=[INSTANT])
    window_end: str = Field(examples=["2026-05-04T10:15:00Z"])
    elapsed_s: int = Field(examples=[420])
    withdrawn_wh: int = Field(examples=[230])
    injected_wh: int = Field(examples=[310])
    charged_wh: int = Field(examples=[0])
    discharged_wh: int = Field(examples=[0])
    import_wh: int = Field(examples=[0], description="Net so far, when it flows in.")
    export_wh: int = Field(examples=[80], description="Net so far, when it flows out.")
    expected_import_wh: int = Field(examples=[0], description="Where the window will end, at the power of now.")
    expected_export_wh: int = Field(examples=[170])


class LiveAnswer(_Answer):
    """A zone now (design section 3); powers are null as long as nothing has been heard of it."""

    zone: str = Field(examples=["S"])
    at: str | None = Field(examples=["2026-05-04T10:07:00Z"], description="Now; null before the first reading.")
    state: LightState
    reasons: list[str] = Field(examples=[[]])
    meters: int = Field(examples=[3])
    heard: int = Field(examples=[3], description="Within two of their own cadences and a minute.")
    heard_share: float | None = Field(examples=[1.0])
    newest_reading_at: str | None = Field(examples=["2026-05-04T10:06:30Z"])
    newest_age_s: int | None = Field(examples=[30])
    withdrawn_w: int | None = Field(examples=[2000])
    injected_w: int | None = Field(examples=[2800])
    charged_w: int | None = Field(examples=[0])
    discharged_w: int | None = Field(examples=[0])
    import_w: int | None = Field(examples=[0])
    export_w: int | None = Field(examples=[800])
    self_sufficiency: float | None = Field(examples=[1.0])
    soc_wh: int | None = Field(examples=[5400])
    window: RunningWindowAnswer | None
    import_limit_kw: float | None = Field(examples=[10])
    export_limit_kw: float | None = Field(examples=[10])
    loading_import: float | None = Field(examples=[0.0], description="A fraction: 1.0 at the limit.")
    loading_export: float | None = Field(examples=[0.08])


class LiveZonesAnswer(_Answer):
    """All zones now."""

    at: str | None = Field(examples=["2026-05-04T10:07:00Z"])
    zones: list[LiveAnswer]


class EnvelopeRow(_Answer):
    """What the zone's assets can hold for so many minutes, as a change from what they do now."""

    minutes: int = Field(examples=[15])
    up_kw: float = Field(examples=[8], description="Less withdrawal or more injection.")
    up_expected_kw: float = Field(examples=[7.6], description="The mean, by how often assets did what they were asked.")
    up_firm_kw: float = Field(examples=[5.365], description="What comes in nine of ten cases (P10).")
    up_available_kw: float = Field(examples=[8], description="Without what is held for offers or ordered already.")
    up_cost_per_kwh: float | None = Field(examples=[0.09], description="The mean, from the cheapest on; null: nothing.")
    down_kw: float = Field(examples=[6], description="More withdrawal or less injection.")
    down_expected_kw: float = Field(examples=[5.7])
    down_firm_kw: float = Field(examples=[4.024])
    down_available_kw: float = Field(examples=[6])
    down_cost_per_kwh: float | None = Field(examples=[0.09])


class CostStep(_Answer):
    """So much power can be had up to this cost."""

    kw: float = Field(examples=[8])
    cost_per_kwh: float = Field(examples=[0.09])


class CostCurve(_Answer):
    """Merit order of what can be held for 15 minutes, from the cheapest step on."""

    up: list[CostStep]
    down: list[CostStep]


class AssetsHeard(_Answer):
    """The assets in the zone and below it."""

    total: int = Field(examples=[2])
    heard: int = Field(examples=[1], description="Those of which it is known what they hold; the others count 0.")
    silent: list[str] = Field(examples=[["battery-2"]], description="Names of the others, 20 at most.")


class _Signals(_Answer):
    at: str | None = Field(examples=["2026-05-04T10:07:00Z"])
    state: LightState
    loading_import: float | None = Field(examples=[0.0])
    loading_export: float | None = Field(examples=[0.08])
    headroom_import_kw: float | None = Field(examples=[10.8])
    headroom_export_kw: float | None = Field(examples=[9.2])
    expected_at: str | None = Field(
        examples=["2026-05-04T12:15:00Z"], description="Start of the window that passes 80 % by the forecast."
    )
    reasons: list[str] = Field(examples=[[]])
    envelope: list[EnvelopeRow]
    assets: AssetsHeard
    unclipped_by: list[str] = Field(
        examples=[[]], description="Zones on the way that have a limit, but are stale: they clip nothing. 20 at most."
    )


class SignalsAnswer(_Signals):
    """The traffic light of a zone, the room that is left, and what its assets can hold (design section 4)."""

    zone: str = Field(examples=["S"])
    cost_curve: CostCurve


class SignalsRow(_Signals):
    """The signals as they were: once a minute of the service's now, and when the state changed."""

    net_kw: float | None = Field(examples=[-0.8], description="Positive for import.")


class SignalsHistory(_Answer):
    """A page of a zone's signals of the past."""

    zone: str = Field(examples=["S"])
    rows: list[SignalsRow]
    next: str | None = Field(examples=[None], description="The `cursor` of the next page; null at the end.")


class NewestReading(_Answer):
    """The newest reading of one register."""

    obis_code: str = Field(alias="register", examples=["1.8.0"])
    ts: str = Field(examples=[INSTANT])
    value: int = Field(examples=[1500])


class MeterRow(_Answer):
    """A meter that is valid now, and what was last heard of it."""

    meter: str = Field(examples=["590322400000000017"])
    zone: str = Field(examples=["S"])
    kind: MeterKind
    newest_reading_at: str | None = Field(examples=[INSTANT])
    age_s: int | None = Field(examples=[30])
    cadence_s: int = Field(examples=[900], description="Of its most frequent register; 900 until it has shown one.")
    silent: bool = Field(description="Not heard for over two cadences and a minute.")
    newest: list[NewestReading]


class MetersAnswer(_Answer):
    """A page of meters, by name."""

    at: str | None = Field(examples=["2026-05-04T10:07:00Z"])
    rows: list[MeterRow]
    next: str | None = Field(examples=[None])


class AuditAnswer(_Answer):
    """The books (design rule 10): received = applied + unchanged + pending + rejected, so `difference` is 0."""

    received: int = Field(examples=[18])
    applied: int = Field(examples=[15])
    unchanged: int = Field(examples=[1])
    pending: int = Field(examples=[0])
    rejected: dict[str, int] = Field(examples=[{"malformed": 1, "unknown_meter": 1}])
    lag: int = Field(examples=[0], description="Messages in Kafka that have not been handled yet.")
    recomputing: int = Field(examples=[0], description="Windows to be recomputed after a topology change, at least.")
    difference: int = Field(examples=[0])


class PartitionRow(_Answer):
    """A partition of a topic and who handles it."""

    topic: str = Field(examples=["bilans.readings"])
    partition: int = Field(examples=[0])
    owner: str | None = Field(examples=["balancer-0"])
    owner_epoch: int = Field(examples=[3])
    next_offset: int = Field(examples=[1204])
    end_offset: int | None = Field(examples=[1204])
    lag: int | None = Field(examples=[0])
    event_now: str | None = Field(examples=[INSTANT])
    topology: int = Field(examples=[1])


class InstanceRow(_Answer):
    """A running ingest or balancer."""

    instance: str = Field(examples=["balancer:balancer-0"])
    service: str = Field(examples=["balancer"])
    topology: int = Field(examples=[1])
    ready: bool
    detail: str = Field(examples=[""])
    seen_at: str = Field(examples=[INSTANT])
    fresh: bool = Field(description="Heard of within the last five seconds.")


class FuseAnswer(_Answer):
    """A topic that ingest has stopped reading since nearly all of it was bad; `bilans rejected resume` goes on."""

    topic: str = Field(examples=["bilans.readings.json"])
    reason: str = Field(examples=["99,950 of the last 100,000 lines cannot be used (99,950 unknown_meter)"])
    blown_at: str = Field(examples=[INSTANT])


class StatusAnswer(_Answer):
    """How the service stands."""

    version: str = Field(examples=["0.1.0"])
    clock: Literal["wall", "event"]
    now: str | None = Field(examples=[INSTANT], description="Null in event mode before the first reading.")
    topology: int = Field(examples=[1])
    live_feed: bool
    viewers: int = Field(examples=[2])
    lag: int | None = Field(examples=[0])
    fuse: FuseAnswer | None = Field(description="The blown fuse of the JSON topic; null while it holds.")
    partitions: list[PartitionRow]
    instances: list[InstanceRow]


class ProbeAnswer(_Answer):
    """A probe's answer."""

    status: Literal["ok", "not ready"]
    missing: list[str] = Field(examples=[[]], description="What is not ready, in words.")


class ReadyAnswer(ProbeAnswer):
    """Whether everything is ready."""

    fuse: FuseAnswer | None = Field(description="The blown fuse of the JSON topic, which is the last of `missing`.")


def zone_not_found(zone: str) -> Problem:
    """The 404 of a zone that the topology in force does not have."""
    return Problem(404, f"The topology in force has no zone {zone[:64]!r}; GET /v1/zones lists them.")
