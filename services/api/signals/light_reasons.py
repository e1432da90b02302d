"""Why a traffic light is not green, in words."""

from services.api.kilowatts import kilowatts
from shared.flexibility.traffic_light import AMBER_PERCENT, RED_PERCENT, Loading, Outlook
from shared.instants import format_instant
from shared.words import LightState


def light_reasons(loading: Loading, expected: Outlook | None, state: LightState) -> list[str]:
    """The reasons for `state` with `loading` now and what the forecast expects; none for green."""
    if state is LightState.GREEN:
        return []
    percent = RED_PERCENT if state is LightState.RED else AMBER_PERCENT
    ahead = (
        [] if expected is None or expected.passes_at_s is None else _expected_reasons(expected, expected.passes_at_s)
    )
    if loading.above(percent):
        return [f"{_flow_now(loading)}: above {percent} %", *ahead]
    if state is LightState.AMBER and ahead:
        return ahead
    return [f"{_flow_now(loading)}: was above {percent} %, held until it has been lower for long enough", *ahead]


def _flow_now(loading: Loading) -> str:
    flow = ("import", loading.import_w, loading.import_limit_w)
    if loading.export_w:
        flow = ("export", loading.export_w, loading.export_limit_w)
    return f"{flow[0]} is {kilowatts(flow[1])} kW, the limit {kilowatts(flow[2])} kW"


def _expected_reasons(expected: Outlook, at_s: int) -> list[str]:
    loading = expected.loading
    sides = (
        ("import", loading.import_w, loading.import_limit_w, "P90"),
        ("export", loading.export_w, loading.export_limit_w, "P10"),
    )
    return [
        f"{flow} may reach {kilowatts(power_w)} kW within 4 hours by the forecast ({quantile}), the limit"
        f" {kilowatts(limit_w)} kW: above {AMBER_PERCENT} % from {format_instant(at_s)} on"
        for flow, power_w, limit_w, quantile in sides
        if limit_w is not None and 100 * power_w > AMBER_PERCENT * limit_w
    ]
