"""Zones as the API tells them live: power, loading and traffic light, from memory only."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.api.balance_text import ratio
from services.api.kilowatts import kilowatts, limit_w
from services.api.live_view import LiveView
from services.api.signals.light_reasons import light_reasons
from services.api.signals.outlooks import Outlooks
from services.api.signals.zone_lights import ZoneLights
from services.api.topology_shelf import TopologyShelf
from services.api.topology_terms import TopologyTerms
from services.api.zone_live import RunningWindow, ZoneLive, work_out
from shared.flexibility.traffic_light import Loading, Outlook, loading_of
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
    outlook: Outlook | None
    """What the forecast expects; None where there is none, and where the zone is stale."""


class ZoneAnswers:
    """Answers about zones now; moves each zone's traffic light on when it is asked."""

    def __init__(self, shelf: TopologyShelf, view: LiveView, lights: ZoneLights, outlooks: Outlooks) -> None:
        """Reads all of them whenever it is asked."""
        self._shelf = shelf
        self._view = view
        self._lights = lights
        self._outlooks = outlooks

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
            return ZoneNow(zone, live, loading, LightState.STALE, live.stale_reasons, None)
        expected = self._outlooks.of(zone, now_s, loading.import_limit_w, loading.export_limit_w)
        state = self._lights.advance(zone, loading, expected, now_s)
        return ZoneNow(zone, live, loading, state, light_reasons(loading, expected, state), expected)


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


def _loading(terms: TopologyTerms, index: int, live: ZoneLive) -> Loading:
    topology = terms.topology
    return loading_of(
        live.power_w.net if live.power_w else 0,
        limit_w(int(topology.import_limit_w[index])),
        limit_w(int(topology.export_limit_w[index])),
    )


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
