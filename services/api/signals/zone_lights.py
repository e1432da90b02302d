"""The traffic lights of all zones: what each remembers, and which rows of `zone_light` must be written anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.flexibility.traffic_light import QUIET, LightMemory, Loading, Outlook, advanced
from shared.words import LightState


@dataclass(frozen=True, slots=True)
class KeptLight:
    """A light as it is kept over a restart."""

    memory: LightMemory
    state_since_s: int
    """Since when it shows its state, by the service's now."""


class ZoneLights:
    """Keeps every light's memory; a zone that is not named is quiet."""

    def __init__(self) -> None:
        """All are green."""
        self._kept: dict[str, KeptLight] = {}
        self._changed: set[str] = set()

    def advance(self, zone: str, loading: Loading, expected: Outlook | None, now_s: int) -> LightState:
        """The state of `zone` with `loading` at `now_s`, and with what its forecast expects."""
        kept = self._kept.get(zone)
        before = QUIET if kept is None else kept.memory
        after = advanced(before, loading, expected, now_s)
        if after != before:
            same = kept is not None and after.state is before.state
            self._kept[zone] = KeptLight(after, kept.state_since_s if kept is not None and same else now_s)
            self._changed.add(zone)
        return after.state

    def memory(self, zone: str) -> LightMemory:
        """What the light of `zone` remembers."""
        kept = self._kept.get(zone)
        return QUIET if kept is None else kept.memory

    def since_s(self, zone: str) -> int | None:
        """Since when `zone` shows its state; None where it has never shown another than green."""
        kept = self._kept.get(zone)
        return None if kept is None else kept.state_since_s

    def lit(self) -> Iterable[str]:
        """The zones whose lights remember something: all others are green."""
        return (zone for zone, kept in self._kept.items() if kept.memory != QUIET)

    def restore(self, kept: Mapping[str, KeptLight]) -> None:
        """Takes up what was kept before a restart; what this process has seen itself since then goes before it."""
        self._kept = dict(kept) | self._kept

    def take_changed(self) -> dict[str, KeptLight]:
        """The lights whose memory changed since the last call."""
        changed = {zone: self._kept[zone] for zone in self._changed}
        self._changed.clear()
        return changed

    def put_back(self, zones: Iterable[str]) -> None:
        """Counts `zones` as changed again: they could not be written."""
        self._changed.update(zones)
