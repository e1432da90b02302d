"""Which assets are chosen: worked out by hand, every limit kept, and none better among all there are."""

import itertools
import random
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.flexibility.assets import UNLIMITED_WS
from shared.flexibility.envelope import NO_LIMIT_W
from shared.flexibility.selection import LINEAR_PROGRAMME, select
from shared.flexibility.selection_greedy import MERIT_ORDER, select_in_merit_order
from shared.flexibility.selection_problem import COST_PARTS, SelectionProblem, cost_of

PARENTS = [-1, 0, 0, 1, 1]
"""A root, two zones below it, two below the first of them."""


def problem_of(
    assets: Sequence[tuple[Sequence[int], int, int, int]],
    target_w: int,
    headroom_w: Sequence[Sequence[int]] | None = None,
) -> SelectionProblem:
    """Assets are (power in each window, energy in quarters of an hour at 1 W, cost of a MWh, zone)."""
    windows = len(assets[0][0])
    room = [[NO_LIMIT_W] * windows] * len(PARENTS) if headroom_w is None else headroom_w
    return SelectionProblem(
        name=[f"asset {number}" for number in range(len(assets))],
        power_w=np.array([power for power, *_ in assets], np.int64),
        energy_ws=np.array([min(energy * 900, UNLIMITED_WS) for _, energy, *_ in assets], np.int64),
        cost=np.array([cost * COST_PARTS for *_, cost, _ in assets], np.int64),
        zone=np.array([zone for *_, zone in assets], np.int32),
        zone_parent=np.array(PARENTS, np.int32),
        headroom_w=np.array(room, np.int64),
        target_w=target_w,
    )


def test_a_half_full_battery_of_10_kwh() -> None:
    """8 kW for a window, 5 kW for four, 1.25 kW for sixteen: whole W, and no Wh more than it has."""
    for windows, held_w in ((1, 8000), (4, 5000), (16, 1250)):
        selection = select(problem_of([([8000] * windows, 20_000, 300, 3)], 10_000))
        assert selection.held_w == held_w
        assert selection.power_w.tolist() == [[held_w] * windows]
        assert selection.method == LINEAR_PROGRAMME
    assert cost_of(select(problem_of([([8000] * 4, 20_000, 300, 3)], 5000)).power_w, [300 * COST_PARTS]) == Decimal(
        "1.5"
    )


def test_batteries_take_turns_where_merit_order_cannot() -> None:
    """Each is there for half of the time: one must save its energy for the window in which the other is away."""
    assets = [([10, 10], 10, 1, 1), ([10, 0], 10, 2, 1)]
    assert select(problem_of(assets, 10)).power_w.tolist() == [[0, 10], [10, 0]]
    assert select_in_merit_order(problem_of(assets, 10)).held_w == 5


def test_an_uneven_energy_is_shared_out_to_the_last_w() -> None:
    """Twice 5 quarters of an hour at 1 W, over three windows: 3 W in each, where each alone would hold but 1."""
    selection = select(problem_of([([5, 5, 5], 5, 1, 1), ([5, 5, 5], 5, 1, 1)], 100))
    assert selection.held_w == 3
    assert selection.power_w.sum(axis=0).tolist() == [3, 3, 3]


def test_each_gives_the_same_all_the_time_where_nothing_speaks_against_it() -> None:
    """Also where its energy is no whole number of W over the windows: then one W more in some of them."""
    assets = [([8] * 4, 20, 300, 1), ([8] * 4, 20, 400, 2)]
    assert select(problem_of(assets, 7)).power_w.tolist() == [[5] * 4, [2] * 4]
    uneven = select(problem_of([([8] * 4, 18, 300, 1), ([8] * 4, 20, 400, 2)], 7)).power_w
    assert (uneven.max(axis=1) - uneven.min(axis=1)).tolist() == [1, 1]
    assert uneven.sum(axis=1).tolist() == [18, 10]


def test_the_cheaper_is_taken_as_far_as_its_zone_has_room() -> None:
    room = [[NO_LIMIT_W], [4], [NO_LIMIT_W], [3], [NO_LIMIT_W]]
    assets = [([9], 99, 9, 2), ([9], 99, 1, 3), ([9], 99, 2, 4)]
    assert select(problem_of(assets, 6, room)).power_w.tolist() == [[2], [3], [1]]


def test_of_the_same_cost_the_earlier_name_comes_first() -> None:
    assets = [([5, 5], 10, 7, 1), ([5, 5], 10, 7, 2), ([5, 5], 10, 7, 1)]
    assert select(problem_of(assets, 7)).power_w.tolist() == [[5, 5], [2, 2], [0, 0]]


def test_nothing_is_held_where_there_is_nothing() -> None:
    assert select(problem_of([([0, 0], 10, 1, 1)], 5)).held_w == 0
    assert select(problem_of([([5, 5], 0, 1, 1)], 5)).held_w == 0
    assert select(problem_of([([5, 5], 10, 1, 1)], 0)).held_w == 0


def test_a_solver_that_has_no_time_leaves_it_to_merit_order() -> None:
    assets = [([8000 + number] * 16, 20_000, number, 1) for number in range(50)]
    selection = select(problem_of(assets, 10_000), seconds_max=0.0)
    assert selection.method == MERIT_ORDER
    assert not problem_of(assets, 10_000).broken(selection.power_w)


def problems(assets_max: int, windows_max: int, power_max: int) -> st.SearchStrategy[SelectionProblem]:
    power = st.integers(0, power_max)

    def of(windows: int) -> st.SearchStrategy[SelectionProblem]:
        asset = st.tuples(
            st.lists(power, min_size=windows, max_size=windows),
            st.integers(0, windows * power_max),
            st.integers(0, 4),
            st.integers(0, 4),
        )
        room = st.lists(
            st.lists(st.integers(0, 2 * power_max) | st.just(NO_LIMIT_W), min_size=windows, max_size=windows),
            min_size=5,
            max_size=5,
        )
        return st.builds(
            problem_of,
            st.lists(asset, min_size=1, max_size=assets_max),
            st.integers(0, assets_max * power_max),
            room | st.none(),
        )

    return st.integers(1, windows_max).flatmap(of)


def best_of_all(problem: SelectionProblem) -> tuple[int, Decimal]:
    """The greatest power and its least cost among all selections there are."""
    ranges = [range(int(most) + 1) for most in problem.power_w.ravel()]
    best = (0, Decimal(0))
    for choice in itertools.product(*ranges):
        power_w = np.array(choice, np.int64).reshape(problem.power_w.shape)
        if problem.broken(power_w):
            continue
        held_w, cost = int(power_w[:, 0].sum()), cost_of(power_w, problem.cost.tolist())
        if (held_w, -cost) > (best[0], -best[1]):
            best = held_w, cost
    return best


@settings(max_examples=60)
@given(problems(3, 2, 2))
def test_none_is_better(problem: SelectionProblem) -> None:
    selection = select(problem)
    assert (selection.held_w, cost_of(selection.power_w, problem.cost.tolist())) == best_of_all(problem)


@settings(max_examples=150)
@given(problems(12, 5, 100))
def test_every_limit_is_kept_and_merit_order_is_never_better(problem: SelectionProblem) -> None:
    selection, greedy = select(problem), select_in_merit_order(problem)
    cost = problem.cost.tolist()
    for found in (selection, greedy):
        assert not problem.broken(found.power_w)
        assert (found.power_w.sum(axis=0) == found.held_w).all()
    assert selection.method == LINEAR_PROGRAMME
    assert selection.held_w >= greedy.held_w
    if selection.held_w == greedy.held_w:
        assert cost_of(selection.power_w, cost) <= cost_of(greedy.power_w, cost)
    if (problem.power_w.sum(axis=1) <= problem.energy_w).all():  # no window depends on another
        assert selection.held_w == greedy.held_w
        assert cost_of(selection.power_w, cost) == cost_of(greedy.power_w, cost)


@settings(max_examples=30)
@given(problems(12, 5, 100), st.randoms(use_true_random=False))
def test_the_order_of_the_assets_does_not_matter(problem: SelectionProblem, chance: random.Random) -> None:
    order = list(range(len(problem.name)))
    chance.shuffle(order)
    shuffled = SelectionProblem(
        name=[problem.name[place] for place in order],
        power_w=problem.power_w[order],
        energy_ws=problem.energy_ws[order],
        cost=problem.cost[order],
        zone=problem.zone[order],
        zone_parent=problem.zone_parent,
        headroom_w=problem.headroom_w,
        target_w=problem.target_w,
    )
    assert (select(shuffled).power_w == select(problem).power_w[order]).all()
