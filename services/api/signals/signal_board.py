"""What all zones can hold now, worked out together when it is asked for, and kept as long as nothing has changed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from services.api.live_view import LiveView
from services.api.signals.asset_history import AssetHistory
from services.api.signals.asset_view import AssetView
from services.api.signals.envelope_table import EnvelopeTable, work_out_envelopes
from services.api.signals.envelope_text import NOTHING, EnvelopeTexts
from services.api.signals.live_table import ZonesNow, zones_now
from services.api.signals.signals_text import Answer, signals_answer
from services.api.topology_shelf import TopologyShelf
from services.api.zone_answers import ZoneNow

_SHARE = 20
"""A twentieth of the time goes into working it out at most, however often it is asked for."""


@dataclass(frozen=True, slots=True)
class Board:
    """All zones at a moment."""

    zones: ZonesNow
    texts: EnvelopeTexts


class SignalBoard:
    """The signals of any zone, from memory."""

    def __init__(self, shelf: TopologyShelf, view: LiveView, assets: AssetView) -> None:
        """Reads all of them whenever it is asked."""
        self._shelf = shelf
        self._view = view
        self._assets = assets
        self.history = AssetHistory()
        """What PostgreSQL knows of the assets; `services.api.signals.signals_round` reads it now and then."""
        self._board: Board | None = None
        self._facts: object = None
        self._worked_out_s = 0.0
        self._cost_s = 0.0

    @property
    def now_s(self) -> int | None:
        """The service's now."""
        return self._view.now_s()

    @property
    def zone_index(self) -> Mapping[str, int]:
        """The place of each zone of the newest topology."""
        return self._shelf.newest.zone_index

    def zone_id(self, zone: str) -> int | None:
        """The permanent number of `zone`; None where the newest topology has none of that name."""
        index = self.zone_index.get(zone)
        return None if index is None else int(self._shelf.newest.topology.zone_id[index])

    def signals(self, zone: ZoneNow) -> Answer:
        """The signals of `zone`, with what its assets can hold."""
        facts, board = self._facts_now(), self._board
        stands = board is not None and board.texts.topology is self._shelf.newest.topology
        due = time.monotonic() - self._worked_out_s >= _SHARE * self._cost_s
        if board is None or not stands or (due and facts != self._facts):
            board = self.worked_out()
        index = self.zone_index.get(zone.zone)
        return signals_answer(zone, NOTHING if index is None else board.texts.of(index))

    def worked_out(self) -> Board:
        """All zones now, worked out anew."""
        began_s, began_cpu_s = time.monotonic(), time.thread_time()
        self._facts = self._facts_now()
        zones = zones_now(self._view, self._shelf.newest)
        self._board = Board(zones, EnvelopeTexts(self.envelopes(zones)))
        self._worked_out_s, self._cost_s = began_s, time.thread_time() - began_cpu_s
        return self._board

    def envelopes(self, zones: ZonesNow) -> EnvelopeTable:
        """What all zones can hold now, as columns."""
        return work_out_envelopes(self._assets.now(), zones, self.history)

    def _facts_now(self) -> object:
        """What an answer follows from: as long as it is the same, so is the answer."""
        view = self._view
        return view.now_s(), int(view.wall_s), view.changes, self._assets.changes, self.history
