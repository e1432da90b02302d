"""One simulated life of a partition: a seed decides what happens and what goes wrong; what must hold is checked."""

import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from shared.balance.reference import ReferenceBalance
from shared.readings_message import ReadingColumns
from shared.words import Outcome
from tests.simulation.gates import Gates
from tests.simulation.model_log import ModelLog
from tests.simulation.model_store import Faults, ModelStore
from tests.simulation.network import reference_of, topologies
from tests.simulation.owner import Owner
from tests.simulation.sender import BEGIN_S, DAYS, Sender

STEPS = 260
_REST_STEPS_MAX = 20_000
_TOPOLOGIES = 4
_MESSAGES_AFTER = 12
_ACTIONS = {
    "send": 14,
    "send again": 2,
    "switch": 1,
    "apply": 22,
    "flush": 18,
    "go on": 70,
    "archive": 10,
    "checkpoint": 8,
    "crash": 2,
    "take over": 2,
    "rest": 1,
    "come back": 3,
    "end zombie": 1,
}


@dataclass(frozen=True)
class Life:
    """What a simulated life came to."""

    received: int
    commits: int
    fenced: int
    crashes: int
    late: int


class World:
    """The parts, and what may happen to them."""

    def __init__(self, seed: int, folder: Path, store: type[ModelStore] = ModelStore) -> None:
        """`store` may be one with a fault of its own: the simulation must find it."""
        self.random = Random(seed)
        self.gates = Gates(self.random)
        self.log = ModelLog(self.gates)
        known = topologies(self.random, BEGIN_S, BEGIN_S + DAYS * 86400, _TOPOLOGIES)
        faults = Faults(self.random.randrange(15), self.random.randrange(30), self.random.randrange(20))
        self.log.damaged_percent = self.random.randrange(10)
        self.store = store(self.gates, known, faults)
        self.sender = Sender(self.random)
        self.folder = folder
        self.log.messages.append(1)  # the first topology
        self.owner = self._new_owner()
        self.zombies: list[Owner] = []
        self.happened: Counter[str] = Counter()
        self._checked_commits = 0

    def _new_owner(self) -> Owner:
        return Owner(f"owner {self.random.randrange(10**6)}", self.store, self.log, self.gates, self.folder)

    # --- what happens ---------------------------------------------------------------------------------------------

    async def live(self, steps: int = STEPS) -> Life:
        """Lives, comes to rest without faults, and is compared with the reference."""
        await self.owner.start()
        names, weights = list(_ACTIONS), list(_ACTIONS.values())
        try:
            for _ in range(steps):
                await self._happen(self.random.choices(names, weights)[0])
                self.check()
            await self._come_to_rest()
            self.check_at_rest()
            # Once more with all checkpoints gone: log and tables alone must bring the same state back.
            shutil.rmtree(self.folder, ignore_errors=True)
            self.log.messages += [self.sender.message() for _ in range(_MESSAGES_AFTER)]
            await self._come_to_rest()
            self.check_at_rest()
        finally:
            for owner in (self.owner, *self.zombies):
                await owner.crash()
        return Life(
            self.store.books["received"],
            self.store.commits,
            self.store.fenced,
            self.happened["crash"],
            sum(late for _, late in self._judged()),
        )

    async def _happen(self, what: str) -> None:
        random = self.random
        self.happened[what] += 1
        match what:
            case "send":
                self.log.messages.append(self.sender.message())
            case "send again":
                self.log.messages.append(self.log.messages[random.randrange(len(self.log.messages))])
            case "switch":
                newest = max(m for m in self.log.messages if isinstance(m, int))
                self.log.messages.append(min(newest + 1, _TOPOLOGIES))
            case "apply":
                random.choice([self.owner, *self.zombies]).apply(random.randrange(1, 5))
            case "flush":
                # The host's clock may step; a window that is closed stays closed.
                now_s = BEGIN_S + random.randrange(-3600, DAYS * 86400)
                random.choice([self.owner, *self.zombies]).begin_flush(now_s)
            case "go on":
                await self.gates.release_one()
            case "archive":
                self.log.archived = random.randint(self.log.archived, len(self.log.messages))
            case "checkpoint":
                random.choice([self.owner, *self.zombies]).checkpoint()
            case "rest":
                random.choice([self.owner, *self.zombies]).rest()
            case "come back":
                await random.choice([self.owner, *self.zombies]).come_back()
            case "crash":
                await self.owner.crash()
                self.owner = self._new_owner()
                await self.owner.start()
            case "take over":
                self.zombies.append(self.owner)
                self.owner = self._new_owner()
                await self.owner.start()
            case "end zombie" if self.zombies:
                await self.zombies.pop(random.randrange(len(self.zombies))).crash()
        await self.gates.settle()

    async def _come_to_rest(self) -> None:
        self.store.faults, self.log.damaged_percent = Faults(), 0
        await self.owner.crash()
        self.owner = self._new_owner()
        await self.owner.start()
        self.log.archived = len(self.log.messages)
        for _ in range(_REST_STEPS_MAX):
            self.owner.apply(5)
            self.owner.begin_flush(BEGIN_S)
            await self.gates.release_one()
            self.owner.check()
            if self.owner.at_rest:
                return
        raise AssertionError("it does not come to rest")

    # --- what must hold -------------------------------------------------------------------------------------------

    def check(self) -> None:
        """After every event: nobody died, the books balance, and what can be seen is right."""
        for owner in (self.owner, *self.zombies):
            owner.check()
        if self.store.commits == self._checked_commits:
            return
        self._check_books()
        if self.store.commits % 4 == 0:
            self._check_totals()
        self._checked_commits = self.store.commits

    def check_at_rest(self) -> None:
        """All that was sent is counted once, and in the totals."""
        sent = sum(len(message) for message in self.log.messages if isinstance(message, ReadingColumns))
        assert self.store.books["received"] == sent, (self.store.books["received"], sent)
        assert self.store.books["pending"] == 0
        assert self.store.row.place == (len(self.log.messages), 0)
        self._check_books()
        self._check_totals()

    def _check_books(self) -> None:
        books = dict(self.store.books)
        received = books.pop("received", 0)
        assert received == sum(books.values()), (received, books)
        waiting = sum(1 for offset, late in self._waiting() for _ in late)
        assert books.get("pending", 0) == waiting, (books, waiting)

    def _waiting(self) -> list[tuple[int, list[int]]]:
        """The queue's messages with the slots of those late readings that are not taken."""
        progress = self.store.row.history

        def waits(offset: int, slot: int) -> bool:
            return offset > progress.late_until or slot >= progress.late_slot

        queue = [(offset, late.slot.tolist()) for (offset, _), late in self.store.queue.items()]
        return [(offset, [slot for slot in slots if waits(offset, slot)]) for offset, slots in queue]

    def _judged(self) -> list[tuple[tuple[int, int, int, int, int], bool]]:
        """Every reading before the store's place (offset, slot, instant, value, version), and whether it was late."""
        balance = reference_of(self.store.topologies[1])
        judged = []
        for offset, message in enumerate(self.log.messages[: self.store.row.place.offset]):
            if isinstance(message, ReadingColumns):
                columns = (message.slot, message.ts_s, message.value, message.version)
                for slot, ts_s, value, version in zip(*(column.tolist() for column in columns), strict=True):
                    late = balance.apply(slot, ts_s, value, version) is Outcome.PENDING
                    judged.append(((offset, slot, ts_s, value, version), late))
        return judged

    def _check_totals(self) -> None:
        """What the store shows is what the reference makes of the log up to its place and the late readings taken."""
        store = self.store
        if store.recounts or store.deferred_changes or store.row.place.position or store.row.topology == 0:
            return
        topology = store.topologies[store.row.topology]
        expected = self._expected(reference_of(topology))
        zone_id = topology.zone_id.tolist()
        named = {(zone_id[zone], window_s): sums for (zone, window_s), sums in expected.items() if any(sums)}
        shown = {key: sums for key, sums in store.totals.items() if any(sums)}
        wrong = sorted(key for key in named.keys() | shown.keys() if named.get(key) != shown.get(key))
        assert not wrong, f"{len(wrong)} windows, first {wrong[0]}: {named.get(wrong[0])} and {shown.get(wrong[0])}"

    def _expected(self, balance: ReferenceBalance) -> dict[tuple[int, int], list[int]]:
        waiting = Counter((offset, slot) for offset, slots in self._waiting() for slot in slots)
        late_ones = []
        for (offset, *reading), late in self._judged():
            if late:
                late_ones.append((offset, reading))
            else:
                balance.apply(*reading)
        for offset, (slot, ts_s, value, version) in late_ones:
            if not waiting[offset, slot]:
                balance.take(slot, ts_s, value, version)
        return balance.totals()


async def simulate(seed: int, store: type[ModelStore] = ModelStore, steps: int = STEPS) -> Life:
    """Lives one life; raises AssertionError where something does not hold."""
    with tempfile.TemporaryDirectory(prefix="bilans-simulation-") as folder:
        return await World(seed, Path(folder), store).live(steps)
