"""One look at all zones together: lights, headroom and envelopes, and the signals of those where something changed."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.api.kilowatts import limit_w
from services.api.signals.envelope_facts import envelope_facts
from services.api.signals.envelope_text import EnvelopeTexts
from services.api.signals.light_reasons import light_reasons
from services.api.signals.live_table import ZonesNow
from services.api.signals.outlooks import Outlooks
from services.api.signals.signal_board import SignalBoard
from services.api.signals.signals_text import Answer, signals_of
from services.api.signals.zone_lights import ZoneLights
from services.api.zone_answers import ZoneAnswers
from shared.flexibility.traffic_light import AMBER_PERCENT, Loading, Outlook, loading_of
from shared.topology.index import Topology
from shared.words import LightState

_Mask = npt.NDArray[np.bool_]
_Codes = npt.NDArray[np.int8]

_STATES = tuple(LightState)
_GREEN, _STALE = _STATES.index(LightState.GREEN), _STATES.index(LightState.STALE)
_NOT_EXPECTED = -1


@dataclass(frozen=True, slots=True)
class ZoneSignal:
    """What a sweep has to tell of a zone."""

    zone: str
    zone_id: int
    state: LightState
    net_w: int | None
    """Positive for import; None as long as nothing is known."""
    turned: bool
    """Whether its state is another than in the sweep before."""
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the sweep before saw."""

    topology: Topology
    state: _Codes
    facts: npt.NDArray[np.int64]


class SignalsSweep:
    """Sweeps the zones of the newest topology."""

    def __init__(self, answers: ZoneAnswers, board: SignalBoard, lights: ZoneLights, outlooks: Outlooks) -> None:
        """Nothing has been seen yet: the first sweep tells of all zones."""
        self._answers = answers
        self._board = board
        self._lights = lights
        self._outlooks = outlooks
        self._seen: _Seen | None = None

    def sweep(self, *, everything: bool) -> list[ZoneSignal]:
        """The signals of the zones of which anything has changed since the sweep before; with `everything`, of all."""
        board = self._board.worked_out()
        zones, texts, topology = board.zones, board.texts, board.texts.topology
        outlooks = self._expected(topology, zones)
        state = self._states(topology, zones, outlooks)
        facts = _facts(zones, texts, state, outlooks)
        seen, self._seen = self._seen, _Seen(topology, state, facts)
        if seen is None or seen.topology is not topology:
            changed, turned = np.ones(len(state), np.bool_), np.zeros(len(state), np.bool_)
        else:
            changed, turned = (facts != seen.facts).any(axis=1), state != seen.state
        told = np.flatnonzero(changed | everything)
        return list(self._signals(topology, zones, texts, state, outlooks, told.tolist(), turned))

    def forget(self) -> None:
        """The next sweep tells of all zones: what the last one told did not arrive."""
        self._seen = None

    def _expected(self, topology: Topology, zones: ZonesNow) -> dict[int, Outlook]:
        """What the forecast expects of each zone that has a limit and a forecast, and is not stale."""
        if zones.now_s is None:
            return {}
        limited = (zones.import_limit_w >= 0) | (zones.export_limit_w >= 0)
        found = {}
        for index in np.flatnonzero(limited & ~zones.stale).tolist():
            limits_w = limit_w(int(zones.import_limit_w[index])), limit_w(int(zones.export_limit_w[index]))
            expected = self._outlooks.of(topology.zone[index], zones.now_s, *limits_w)
            if expected is not None:
                found[index] = expected
        return found

    def _states(self, topology: Topology, zones: ZonesNow, outlooks: dict[int, Outlook]) -> _Codes:
        """[Z] the place of each state in LightState. Lights that remember nothing and see nothing are green."""
        state = np.where(zones.stale, _STALE, _GREEN).astype(np.int8)
        if zones.now_s is None:
            return state
        moving = _above_amber(zones)
        moving[[index for index, expected in outlooks.items() if expected.passes_at_s is not None]] = True
        numbers = self._board.zone_index
        moving[[numbers[zone] for zone in self._lights.lit() if zone in numbers]] = True
        for index in np.flatnonzero(moving & ~zones.stale).tolist():
            loading = _loading(zones, index)
            light = self._lights.advance(topology.zone[index], loading, outlooks.get(index), zones.now_s)
            state[index] = _STATES.index(light)
        return state

    def _signals(
        self,
        topology: Topology,
        zones: ZonesNow,
        texts: EnvelopeTexts,
        state: _Codes,
        outlooks: dict[int, Outlook],
        told: list[int],
        turned: _Mask,
    ) -> Iterable[ZoneSignal]:
        for index in told:
            zone, light = topology.zone[index], _STATES[state[index]]
            loading = _loading(zones, index)
            expected = outlooks.get(index)
            if light is LightState.STALE:
                reasons = self._answers.now(zone).reasons
            else:
                reasons = light_reasons(loading, expected, light)
            known = loading if zones.known[index] else None
            answer = signals_of(zone, zones.now_s, known, light, reasons, expected, texts.of(index))
            net_w = int(zones.net_w[index]) if known else None
            yield ZoneSignal(zone, int(topology.zone_id[index]), light, net_w, bool(turned[index]), answer)


def _loading(zones: ZonesNow, index: int) -> Loading:
    limits_w = limit_w(int(zones.import_limit_w[index])), limit_w(int(zones.export_limit_w[index]))
    return loading_of(int(zones.net_w[index]), *limits_w)


def _above_amber(zones: ZonesNow) -> _Mask:
    """[Z] whether loading now passes the amber threshold, exact."""
    above = np.zeros(len(zones.net_w), np.bool_)
    for flow_w, limits_w in ((zones.net_w, zones.import_limit_w), (-zones.net_w, zones.export_limit_w)):
        above |= (limits_w >= 0) & (100 * np.maximum(flow_w, 0) > AMBER_PERCENT * limits_w)
    return above


def _facts(zones: ZonesNow, texts: EnvelopeTexts, state: _Codes, outlooks: dict[int, Outlook]) -> npt.NDArray[np.int64]:
    """[Z, facts] what the signals follow from, but for the passing of time."""
    expected_s = np.full(len(state), _NOT_EXPECTED, np.int64)
    for index, expected in outlooks.items():
        if expected.passes_at_s is not None:
            expected_s[index] = expected.passes_at_s
    return np.column_stack((zones.net_w, zones.known, state, expected_s, envelope_facts(texts.table)))
