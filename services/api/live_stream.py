"""The event stream's one clockwork: what changed, told once, and kept only as long as a slow viewer may need it.

Viewers have no queues. Each remembers how far it has been told and takes, when it can, the newest state of its zones:
a viewer that was slow gets the present instead of a backlog. Changes of rows and states, which later ones do not
supersede, are kept in a short ring; who has fallen behind it begins anew with `hello`.
"""

import asyncio
from collections import deque
from dataclasses import asdict, dataclass, field

import orjson

from services.api.balance_changes import Restatement, runs_of_windows
from services.api.live_view import LiveView
from services.api.signals.signal_board import SignalBoard
from services.api.zone_answers import ZoneAnswers, live_answer
from shared.instants import format_instant
from shared.limits import QUARTER_S
from shared.words import LightState

TICK_S = 0.2
"""A viewer's stream is thinned to this (design section 3)."""

TICKS_A_SECOND = 5
"""Every so many ticks all zones are told anew: ages grow also when nothing comes."""

EVENTS_KEPT = 4096
"""Changes of rows and states in the ring."""

RESTATED_AN_EVENT = 16
"""Restated windows whose figures an event tells; of a longer run, as when history is loaded, the rows can be asked for.
The whole ring then holds 40 MB of them at most."""

RESTATED_A_TICK = 2000
"""Restated windows of one tick whose figures are told: they are kept as Python objects until then."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the stream; `zone` decides who is told."""

    sequence: int
    name: str
    zone: str
    body: bytes


@dataclass(slots=True)
class _Told:
    """A zone's newest state as bytes, and when it came to be."""

    sequence: int
    body: bytes


@dataclass(slots=True)
class LiveStream:
    """Ticks five times a second; each tick wakes every viewer that waits."""

    answers: ZoneAnswers
    board: SignalBoard
    view: LiveView
    sequence: int
    """The id of the newest event; it begins at the wall clock's milliseconds, so ids also grow over restarts."""
    viewers: int = 0
    """Viewers now."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _told: dict[str, _Told] = field(default_factory=dict)
    _states: dict[str, LightState] = field(default_factory=dict)
    _events: deque[Event] = field(default_factory=lambda: deque(maxlen=EVENTS_KEPT))
    _changed_windows: set[tuple[str, int]] = field(default_factory=set)
    _restated: dict[tuple[str, int], Restatement] = field(default_factory=dict)
    _next_tick: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Ticks until cancelled."""
        loop = asyncio.get_running_loop()
        tick = 0
        while True:
            due = loop.time() + TICK_S
            self.tick(all_zones=tick % TICKS_A_SECOND == 0)
            tick += 1
            await asyncio.sleep(max(due - loop.time(), 0.01))

    def tick(self, *, all_zones: bool) -> None:
        """Tells what changed since the last tick; with `all_zones` works out every zone anew."""
        known = self.answers.zones()
        changed = known if all_zones else self.view.take_changed()
        if all_zones:
            self.view.take_changed()
            for gone in self._told.keys() - set(known):  # the topology no longer has it
                del self._told[gone]
        for zone, start_s, end_s in runs_of_windows(self._changed_windows):
            body = {"zone": zone, "window_start": format_instant(start_s), "window_end": format_instant(end_s)}
            self._add_event("balance", zone, body | self._restated_in(zone, start_s, end_s))
        self._changed_windows.clear()
        self._restated.clear()
        self.sequence += 1
        tick_sequence = self.sequence
        for zone in changed:
            self._tell(zone, tick_sequence)
        self.sequence += 1
        waiting, self._next_tick = self._next_tick, asyncio.Event()
        waiting.set()

    def windows_changed(self, changed: set[tuple[str, int]]) -> None:
        """Notes the (zone, window start) of rows that a flush changed."""
        self._changed_windows |= changed

    def windows_restated(self, restated: dict[tuple[str, int], Restatement]) -> None:
        """Notes what became of closed windows; restated twice within a tick, one counts from before to after both."""
        self._changed_windows |= restated.keys()
        for key, last in restated.items():
            first = self._restated.get(key)
            if first is not None:
                newest = max(first, last, key=lambda one: one.revision)
                self._restated[key] = Restatement(newest.revision, first.before, newest.after)
            elif len(self._restated) < RESTATED_A_TICK:
                self._restated[key] = last

    def _restated_in(self, zone: str, start_s: int, end_s: int) -> dict[str, object]:
        """The part of an event that tells which windows of the run were closed already, unless they are many."""
        found = [
            {"window_start": format_instant(window_s), **asdict(self._restated[zone, window_s])}
            for window_s in range(start_s, end_s, QUARTER_S)
            if (zone, window_s) in self._restated
        ]
        return {"restated": found} if 0 < len(found) <= RESTATED_AN_EVENT else {}

    async def wait_tick(self) -> None:
        """Waits for the next tick, or for the service to stop."""
        await self._next_tick.wait()

    def stop(self) -> None:
        """Ends all viewers' streams."""
        self.stopping.set()
        self._next_tick.set()

    def zones_now(self, zones: frozenset[str] | None) -> list[bytes]:
        """The state of the zones, all of them when `zones` is None; one that no tick has told yet is worked out."""
        followed = [zone for zone in self.answers.zones() if zones is None or zone in zones]
        for zone in followed:
            if zone not in self._told:
                self._tell(zone, self.sequence)
        return [self._told[zone].body for zone in followed]

    def zones_since(self, sequence: int, zones: frozenset[str] | None) -> list[bytes]:
        """The newest state of the zones that changed after `sequence`, among all zones when `zones` is None."""
        return [
            told.body
            for zone, told in self._told.items()
            if told.sequence > sequence and (zones is None or zone in zones)
        ]

    def events_since(self, sequence: int, zones: frozenset[str] | None) -> list[Event] | None:
        """The changes of rows and states after `sequence`, in order; None when some are no longer kept."""
        if len(self._events) == EVENTS_KEPT and self._events[0].sequence > sequence + 1:
            return None
        found = []
        for event in reversed(self._events):
            if event.sequence <= sequence:
                break
            if zones is None or event.zone in zones:
                found.append(event)
        return found[::-1]

    def _tell(self, zone: str, sequence: int) -> None:
        try:
            now = self.answers.now(zone)
        except KeyError:  # a record of a zone that the topology at hand does not have yet, or no longer
            return
        body = orjson.dumps(live_answer(now))
        told = self._told.get(zone)
        if told is None or told.body != body:
            self._told[zone] = _Told(sequence, body)
        before = self._states.get(zone)
        self._states[zone] = now.state
        if before is not None and before is not now.state:
            self._add_event("signal", zone, self.board.signals(now))

    def _add_event(self, name: str, zone: str, body: object) -> None:
        self.sequence += 1
        self._events.append(Event(self.sequence, name, zone, orjson.dumps(body)))
