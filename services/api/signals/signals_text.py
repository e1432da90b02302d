"""The signals of a zone as the API, the stream, the topic and the history tell them (design section 4)."""

from collections.abc import Sequence

from services.api.kilowatts import kilowatts
from services.api.zone_answers import ZoneNow
from shared.flexibility.traffic_light import Loading, Outlook
from shared.instants import format_instant
from shared.words import LightState

Answer = dict[str, object]


def signals_answer(zone: ZoneNow, held: Answer) -> Answer:
    """The signals of `zone`; `held` is what its assets can hold (services.api.signals.envelope_text)."""
    return signals_of(
        zone.zone,
        zone.live.now_s,
        zone.loading if zone.live.power_w is not None else None,
        zone.state,
        zone.reasons,
        zone.outlook,
        held,
    )


def signals_of(
    zone: str,
    now_s: int | None,
    loading: Loading | None,
    state: LightState,
    reasons: Sequence[str],
    expected: Outlook | None,
    held: Answer,
) -> Answer:
    """The same from its parts; `loading` is None as long as nothing is known of the zone."""
    expected_at_s = None if expected is None else expected.passes_at_s
    return {
        "zone": zone,
        "at": None if now_s is None else format_instant(now_s),
        "state": state,
        "loading_import": None if loading is None else loading.import_fraction,
        "loading_export": None if loading is None else loading.export_fraction,
        "headroom_import_kw": None if loading is None else _headroom(loading.import_limit_w, _net_w(loading)),
        "headroom_export_kw": None if loading is None else _headroom(loading.export_limit_w, -_net_w(loading)),
        "expected_at": None if expected_at_s is None else format_instant(expected_at_s),
        "reasons": reasons,
        **held,
    }


def _net_w(loading: Loading) -> int:
    return loading.import_w - loading.export_w


def _headroom(limit_w: int | None, flow_w: int) -> int | float | None:
    return None if limit_w is None else kilowatts(limit_w - flow_w)
