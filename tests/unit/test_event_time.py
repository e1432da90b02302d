"""Event time is what one in a hundred series has reached, never goes back, and is not looked for before it can move."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.balance.event_time import EventTime, moved
from shared.balance.held import put_held
from shared.balance.memory import HELD_RECORD, SeriesMemory, empty_memory
from tests.unit.test_partition import DAY, fresh, message


def memory_of(newest_s: dict[int, int], slots: int) -> SeriesMemory:
    """A memory that holds one reading of each of some series."""
    memory = empty_memory(slots)
    heard = np.array(sorted(newest_s), np.int64)
    memory.holds[heard] = 1
    put_held(memory, heard, np.array([(newest_s[slot], 0, 0) for slot in heard.tolist()], HELD_RECORD))
    return memory


def plain(newest_s: dict[int, int], before_s: int | None) -> int | None:
    """The rule, word by word."""
    if not newest_s:
        return before_s
    rank = max(1, -(-len(newest_s) // 100))
    reached_s = sorted(newest_s.values(), reverse=True)[rank - 1]
    return reached_s if before_s is None else max(before_s, reached_s)


def test_event_time_is_what_one_in_a_hundred_has_reached() -> None:
    assert moved(empty_memory(3), EventTime()) == EventTime(None, 1)
    assert moved(memory_of({0: DAY + 900, 1: DAY + 4000}, 2), EventTime()).now_s == DAY + 4000
    # Of 300 three have reached it; two are past it, so that one reading more may move it.
    assert moved(memory_of({k: DAY + k for k in range(300)}, 300), EventTime()) == EventTime(DAY + 297, 1)
    # All at once: none is past it, and three must be.
    assert moved(memory_of(dict.fromkeys(range(300), DAY), 300), EventTime()) == EventTime(DAY, 3)
    assert moved(memory_of({0: DAY}, 1), EventTime(DAY + 900, 0)) == EventTime(DAY + 900, 1)


@given(
    st.integers(1, 700),
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3), st.integers(0, 2**32)), max_size=12),
)
def test_it_stands_still_for_as_long_as_it_says(slots: int, steps: list[tuple[int, int, int]]) -> None:
    newest_s: dict[int, int] = {}
    now_s, looked = None, EventTime(None, 0)
    for readings, quarters, seed in steps:
        chance = np.random.default_rng(seed)
        for slot in chance.integers(0, slots, readings).tolist():
            newest_s[slot] = max(newest_s.get(slot, 0), DAY + 900 * quarters + int(chance.integers(0, 3)))
        now_s = plain(newest_s, now_s)
        looked = EventTime(looked.now_s, looked.readings_to_go - readings)
        if looked.readings_to_go <= 0:
            looked = moved(memory_of(newest_s, slots), looked)
            assert looked.readings_to_go > 0
        assert looked.now_s == now_s


def test_a_partition_moves_it_when_a_reading_brings_it_on() -> None:
    partition = fresh()
    partition.advance_event_now()
    seen = [partition.event_now_s]
    for offset, instant in enumerate((900, 1800, 1000, 4000)):
        partition.apply(offset, message([(0, instant, offset)]))
        partition.advance_event_now()
        seen.append(partition.event_now_s)
    assert seen == [None, DAY + 900, DAY + 1800, DAY + 1800, DAY + 4000]
