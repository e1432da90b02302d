"""A balancer is behind from when much waits until nothing does."""

from services.balancer.backlog import Backlog


def behind(backlog: Backlog, next_offsets: dict[int, int]) -> bool:
    """Whether it is behind where the partitions are that far."""
    backlog.note_next(next_offsets)
    return backlog.behind


def test_it_is_behind_from_much_to_nothing() -> None:
    backlog = Backlog(64)
    backlog.note_end(0, 100)
    backlog.note_end(1, 200)
    steps = ((90, 200), (99, 200), (100, 200), (36, 200), (35, 200), (100, 199), (100, 200))
    # At the beginning a little is enough; then 64 are not much, and 65 are until the last is handled.
    seen = [behind(backlog, {0: first, 1: second}) for first, second in steps]
    assert seen == [True, True, False, False, True, True, False]


def test_partitions_of_others_and_ends_that_nobody_knows_do_not_count() -> None:
    backlog = Backlog(64)
    backlog.note_end(0, 100)
    backlog.note_end(1, None)
    assert not behind(backlog, {1: 5})
    backlog.note_end(1, 100)
    backlog.note_end(1, None)
    assert [behind(backlog, {1: 5}), behind(backlog, {})] == [True, False]


def test_what_was_handled_beyond_a_known_end_makes_up_for_nothing() -> None:
    backlog = Backlog(1)
    backlog.note_end(0, 10)
    backlog.note_end(1, 10)
    assert behind(backlog, {0: 30, 1: 9})
