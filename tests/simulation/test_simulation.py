"""Simulated lives of a partition: whatever the seed lets go wrong, all is counted once; and a fault would be found."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from services.balancer.flush_content import PartitionFlush, RememberedSeries
from tests.faults.tier import TIER
from tests.simulation.model_store import ModelStore
from tests.simulation.world import Life, simulate

SEEDS = {"full": 20_000, "ci": 500}.get(TIER, 100)
"""As many lives as the tier has time for."""
CHUNK = 50
KEPT = [int(line) for line in (Path(__file__).parent / "kept_seeds.txt").read_text().split() if line.isdigit()]
MUTANT_SEEDS = range(200, 350)
"""Lost memory shows in one life of fifty; from here on it does so within two dozen, and the others at once."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The faults are many, and each is told as a warning."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


async def live(seed: int, store: type[ModelStore] = ModelStore) -> Life:
    """Lives one life; a failure says how to replay it."""
    try:
        return await simulate(seed, store)
    except AssertionError as error:
        raise AssertionError(f"{error}\nreplay it with: python -m tests.simulation {seed}") from error


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
async def test_every_life_ends_with_the_reference_totals_and_balanced_books(first: int) -> None:
    lives = [await live(seed) for seed in range(first, first + CHUNK)]
    # Each kind of trouble came about: a simulation of calm lives would prove nothing.
    assert min(sum(getattr(life, name) for life in lives) for name in ("fenced", "crashes", "late", "commits")) > 10


@pytest.mark.parametrize("seed", KEPT)
async def test_seeds_that_once_failed(seed: int) -> None:
    await live(seed)


class LetsAnybodyWrite(ModelStore):
    """Does not look who owns the partition."""

    def check_owner(self, content: PartitionFlush) -> None:
        """Lets every flush pass."""


class LosesMemory(ModelStore):
    """Does not keep what late readings made of a series' memory."""

    async def remembered(self, partition: int, after_step: int) -> list[RememberedSeries]:
        """Nothing."""
        return []


class LosesRecounts(ModelStore):
    """Drops what a change of topology left to do."""

    async def flush(self, contents: Sequence[PartitionFlush]) -> None:
        """Commits, and forgets the recounts."""
        await super().flush(contents)
        self.recounts = {}


class IsOffByOne(ModelStore):
    """Counts one watt-hour too many, once."""

    async def flush(self, contents: Sequence[PartitionFlush]) -> None:
        """Commits, and changes one figure."""
        await super().flush(contents)
        if self.commits == 3 and self.totals:
            next(iter(self.totals.values()))[0] += 1


@pytest.mark.parametrize("store", [LetsAnybodyWrite, LosesMemory, LosesRecounts, IsOffByOne])
async def test_a_store_with_a_fault_is_found_out(store: type[ModelStore]) -> None:
    for seed in MUTANT_SEEDS:
        try:
            await simulate(seed, store)
        except AssertionError:
            return
    pytest.fail(f"{len(MUTANT_SEEDS)} lives with {store.__name__} and nobody noticed")
