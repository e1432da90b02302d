"""Zones as the API tells them live: the live view's JSON and the signals, from memory only."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.api.balance_text import ratio
from services.api.live_view import LiveView
from services.api.topology_shelf import TopologyShelf
from services.api.topology_terms import TopologyTerms
from services.api.traffic_light import AMBER_PERCENT, RED_PERCENT, Loading, TrafficLight
from services.api.zone_live import RunningWindow, ZoneLive, work_out
from shared.instants import format_instant
from shared.limits import QUARTER_S
from shared.words import LightState

Answer = dict[str, object]


@dataclass(frozen=True, slots=True)
class ZoneNow:
    """A zone now, held against its limits."""

    zone: str
    live: ZoneLive
    loading: Loading
    state: LightState
    reasons: Sequence[str]


class ZoneAnswers:
    """Answers about zones now; keeps each zone's traffic light."""

    def __init__(self, shelf: TopologyShelf, view: LiveView) -> None:
        """Reads both whenever it is asked."""
        self._shelf = shelf
        self._view = view
        self._lights: dict[str, TrafficLight] = {}

    def zones(self) -> Sequence[str]:
        """All zones of the newest topology, parents before children."""
        return self._shelf.newest.topology.zone

    def now(self, zone: str) -> ZoneNow:
        """`zone` now. Raises KeyError when the topology has no such zone."""
        terms = self._shelf.newest
        index = terms.zone_index[zone]
        view = self._view
        now_s, wall_s = view.now_s(), view.wall_s
        meters = int(terms.meters_at(int(wall_s) if now_s is None else now_s)[index])
        live = work_out(view.records_of(zone), meters, now_s=now_s, wall_s=wall_s, event_mode=view.event_mode)
        loading = _loading(terms, index, live)
        if live.stale or now_s is None:  # what is not known must not move the light
            return ZoneNow(zone, live, loading, LightState.STALE, live.stale_reasons)
        state = self._lights.setdefault(zone, TrafficLight()).update(loading, now_s)
        return ZoneNow(zone, live, loading, state, _load_reasons(loading, state))


def live_answer(zone: ZoneNow) -> Answer:
    """The live view of a zone (design section 3)."""
    live, power, loading = zone.live, zone.live.power_w, zone.loading
    net_w = power.net if power else None
    return {
        "zone": zone.zone,
        "at": _instant(live.now_s),
        "state": zone.state,
        "reasons": zone.reasons,
        "meters": live.meters,
        "heard": live.heard,
        "heard_share": ratio(live.heard, live.meters),
        "newest_reading_at": _instant(live.newest_s),
        "newest_age_s": _age(live),
        "withdrawn_w": power.withdrawn if power else None,
        "injected_w": power.injected if power else None,
        "charged_w": power.charged if power else None,
        "discharged_w": power.discharged if power else None,
        "import_w": None if net_w is None else max(net_w, 0),
        "export_w": None if net_w is None else max(-net_w, 0),
        "self_sufficiency": ratio(min(power.demand, power.supply), power.demand) if power else None,
        "soc_wh": live.soc_wh,
        "window": _window(live.window) if live.window else None,
        "import_limit_kw": kilowatts(loading.import_limit_w),
        "export_limit_kw": kilowatts(loading.export_limit_w),
        "loading_import": loading.import_fraction if power else None,
        "loading_export": loading.export_fraction if power else None,
    }


def signals_answer(zone: ZoneNow) -> Answer:
    """The signals of a zone (design section 4). The envelope is empty as long as no asset is managed."""
    known = zone.live.power_w is not None
    loading = zone.loading
    return {
        "zone": zone.zone,
        "at": _instant(zone.live.now_s),
        "state": zone.state,
        "loading_import": loading.import_fraction if known else None,
        "loading_export": loading.export_fraction if known else None,
        "headroom_import_kw": _headroom(loading.import_limit_w, loading.net_w) if known else None,
        "headroom_export_kw": _headroom(loading.export_limit_w, -loading.net_w) if known else None,
        "envelope": [],
        "reasons": zone.reasons,
    }


def kilowatts(power_w: int | None) -> int | float | None:
    """W as kW, a whole number where it is one."""
    if power_w is None:
        return None
    return power_w // 1000 if power_w % 1000 == 0 else power_w / 1000


def limit_w(limit: int) -> int | None:
    """A zone's limit as the topology keeps it: negative means none."""
    return None if limit < 0 else limit


def _loading(terms: TopologyTerms, index: int, live: ZoneLive) -> Loading:
    topology = terms.topology
    return Loading(
        net_w=live.power_w.net if live.power_w else 0,
        import_limit_w=limit_w(int(topology.import_limit_w[index])),
        export_limit_w=limit_w(int(topology.export_limit_w[index])),
    )


def _load_reasons(loading: Loading, state: LightState) -> list[str]:
    if state is LightState.GREEN:
        return []
    flow, limit = ("import", loading.import_limit_w) if loading.net_w >= 0 else ("export", loading.export_limit_w)
    percent = RED_PERCENT if state is LightState.RED else AMBER_PERCENT
    power = f"{flow} is {kilowatts(abs(loading.net_w))} kW, the limit {kilowatts(limit)} kW"
    if loading.above(percent):
        return [f"{power}: above {percent} %"]
    return [f"{power}: was above {percent} %, held until it has been lower for long enough"]


def _headroom(limit: int | None, net_w: int) -> int | float | None:
    return None if limit is None else kilowatts(limit - net_w)


def _window(window: RunningWindow) -> Answer:
    net_wh = window.so_far_wh.net
    return {
        "window_start": format_instant(window.start_s),
        "window_end": format_instant(window.start_s + QUARTER_S),
        "elapsed_s": window.elapsed_s,
        "withdrawn_wh": window.so_far_wh.withdrawn,
        "injected_wh": window.so_far_wh.injected,
        "charged_wh": window.so_far_wh.charged,
        "discharged_wh": window.so_far_wh.discharged,
        "import_wh": max(net_wh, 0),
        "export_wh": max(-net_wh, 0),
        "expected_import_wh": max(window.expected_net_wh, 0),
        "expected_export_wh": max(-window.expected_net_wh, 0),
    }


def _age(live: ZoneLive) -> int | None:
    if live.newest_s is None or live.now_s is None:
        return None
    return max(live.now_s - live.newest_s, 0)


def _instant(instant_s: int | None) -> str | None:
    return None if instant_s is None else format_instant(instant_s)
