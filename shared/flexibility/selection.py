"""Which assets hold a power over a period at least cost, within energy and network limits: a linear programme.

First the greatest constant power up to the target, then the least cost at it, and then each asset's share of that as
even over the windows as can be: it spares the assets, and leaves more for who asks next.

For a whole number of W the programme is a flow of integers through a network (assets' energy → assets in windows →
zones → the target), so its corners are whole numbers; the simplex of HiGHS ends in one. It is solved once with a reward
for power that no cost outweighs, and a second time only where the greatest power is no whole number of W.

Source of the method: HiGHS (Huangfu and Hall, 2018), by way of scipy.optimize.linprog.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import csr_array

from shared.flexibility.selection_greedy import evenly, fill_in_merit_order, select_in_merit_order
from shared.flexibility.selection_problem import Int64Array, Selection, SelectionProblem
from shared.limits import QUARTER_S

LINEAR_PROGRAMME = "linear programme"

SOLVE_S_MAX = 4.0
"""After this the solver is stopped and merit order stands in: others wait for the ledger meanwhile. What follows the
first solution is simpler; together it takes no more than twice this."""

_ROUNDING = 1e-6
"""The solver's own tolerance is 1e-7: a value this near to a whole number is that number."""

_TIE = 1e-3
"""The names' share in the cost, of its smallest step: of assets of the same cost the earlier name comes first."""

_SHIFTED_MAX = 64
"""So many assets at most change places for one more W in a window."""

FloatArray = npt.NDArray[np.float64]


def select(problem: SelectionProblem, *, seconds_max: float = SOLVE_S_MAX) -> Selection:
    """The selection of greatest power up to the target, and of those the cheapest; the same for the same problem."""
    greedy = select_in_merit_order(problem)
    most_w = int(np.minimum(problem.power_w, problem.energy_w[:, None]).sum(axis=0).min(initial=problem.target_w))
    if min(most_w, problem.target_w) <= 0:
        return Selection(0, np.zeros_like(problem.power_w), LINEAR_PROGRAMME)
    programme = _Programme(problem)
    found = programme.solve(greedy.held_w, problem.target_w, seconds_max)
    if found is None:
        return greedy
    held_w = int(np.floor(found[-1] + _ROUNDING))
    if abs(found[-1] - held_w) > _ROUNDING:
        found = programme.solve(held_w, held_w, seconds_max / 2)
        if found is None:
            return greedy
    selection = _whole(problem, programme.laid_out(found[:-1]), held_w)
    return _evened(problem, selection, seconds_max / 2)


def _whole(problem: SelectionProblem, power: FloatArray, held_w: int) -> Selection:
    """`power` [A, W] in whole W: rounded down, and what is missing then added in merit order."""
    rounded_w = np.floor(power + _ROUNDING).astype(np.int64)
    power_w = fill_in_merit_order(problem, rounded_w, problem.power_w, held_w)
    held_w = int(power_w.sum(axis=0).min())
    for asset in problem.merit[::-1].tolist():  # what is too much is taken from the dearest
        excess_w = power_w.sum(axis=0) - held_w
        if not excess_w.any():
            break
        power_w[asset] -= np.minimum(power_w[asset], excess_w)
    broken = problem.broken(power_w)
    assert not broken, broken
    return Selection(held_w, power_w, LINEAR_PROGRAMME)


def _evened(problem: SelectionProblem, selection: Selection, seconds_max: float) -> Selection:
    """The same power from the same energy of each asset, so at the same cost, as even over the windows as can be.

    `selection` itself where powers or room that change between the windows leave no other way.
    """
    energy_w = selection.power_w.sum(axis=1)
    same = replace(
        problem,
        power_w=evenly(problem, energy_w, beyond_w=1),  # a part of a W goes to some windows as a whole one
        energy_ws=energy_w * QUARTER_S,
        target_w=selection.held_w,
    )
    power_w = fill_in_merit_order(same, np.zeros_like(problem.power_w), evenly(problem, energy_w), selection.held_w)
    if (power_w.sum(axis=0) == selection.held_w).all():
        return Selection(selection.held_w, power_w, LINEAR_PROGRAMME)
    programme = _Programme(same)
    found = programme.solve(selection.held_w, selection.held_w, seconds_max)
    return selection if found is None else _whole(same, programme.laid_out(found[:-1]), selection.held_w)


class _Programme:
    """The problem as a linear programme: a variable for each asset and window with power, and one for what is held."""

    def __init__(self, problem: SelectionProblem) -> None:
        """Lays out the rows; limits that cannot bind are left out."""
        self._problem = problem
        order = problem.merit
        place, self._window = np.nonzero(problem.power_w[order])
        self._asset = order[place]
        self._most_w = problem.power_w[self._asset, self._window]
        self._cost, self._reward = _costs(problem)
        self._limits, self._limit_w = self._rows()
        count = len(self._asset)
        windows = np.arange(problem.windows)
        self._sums = csr_array(
            (
                np.concatenate([np.ones(count), -np.ones(problem.windows)]),
                (
                    np.concatenate([self._window, windows]),
                    np.concatenate([np.arange(count), np.full(problem.windows, count)]),
                ),
            ),
            shape=(problem.windows, count + 1),
        )

    def solve(self, least_w: int, most_w: int, seconds_max: float) -> FloatArray | None:
        """The variables at the optimum with between `least_w` and `most_w` held; None when it was not found in time."""
        bounds = np.column_stack([np.zeros(len(self._asset) + 1), np.append(self._most_w, most_w)])
        bounds[-1, 0] = least_w
        result = linprog(
            np.append(self._cost[self._asset], -self._reward),
            A_ub=self._limits,
            b_ub=self._limit_w,
            A_eq=self._sums,
            b_eq=np.zeros(self._problem.windows),
            bounds=bounds,
            method="highs-ds",
            options={"time_limit": seconds_max},
        )
        if result.status != 0:
            return None
        found: FloatArray = result.x
        return found

    def laid_out(self, values: FloatArray) -> FloatArray:
        """[A, W] the values of the variables, 0 where there is none."""
        power = np.zeros(self._problem.power_w.shape)
        power[self._asset, self._window] = values
        return power

    def _rows(self) -> tuple[csr_array | None, Int64Array | None]:
        """The limits of energy and network: each row's variables sum up to at most its limit."""
        problem = self._problem
        rows: list[npt.NDArray[np.intp]] = []
        limits: list[int] = []
        scarce = np.flatnonzero(problem.power_w.sum(axis=1) > problem.energy_w)
        by_asset = np.argsort(self._asset, kind="stable")
        begin, end = (np.searchsorted(self._asset[by_asset], scarce, side=side) for side in ("left", "right"))
        for asset, first, last in zip(scarce.tolist(), begin.tolist(), end.tolist(), strict=True):
            rows.append(by_asset[first:last])
            limits.append(int(problem.energy_w[asset]))
        for zone, members in problem.below.items():
            inside = np.flatnonzero(members[self._asset])
            tight = problem.power_w[members].sum(axis=0) > problem.headroom_w[zone]
            for window in np.flatnonzero(tight).tolist():
                rows.append(inside[self._window[inside] == window])
                limits.append(int(problem.headroom_w[zone, window]))
        if not rows:
            return None, None
        variables = np.concatenate(rows)
        row = np.repeat(np.arange(len(rows)), [len(members) for members in rows])
        shape = (len(rows), len(self._asset) + 1)
        return csr_array((np.ones(len(variables)), (row, variables)), shape=shape), np.array(limits, np.int64)


def _costs(problem: SelectionProblem) -> tuple[FloatArray, float]:
    """[A] the costs in their smallest common step, above the least, ties broken by name; and what a held W is worth."""
    above = problem.cost - problem.cost.min()
    step = max(int(np.gcd.reduce(above)), 1)
    steps = (above // step).astype(np.float64)
    merit = problem.merit
    first = np.flatnonzero(np.diff(above[merit], prepend=-1))  # where each cost begins in merit order
    equals = np.diff(np.append(first, len(merit)))
    rank = np.empty(len(merit))
    rank[merit] = (np.arange(len(merit)) - np.repeat(first, equals)) / np.repeat(equals, equals)
    # One more W needs one in each window, and there each may make others change places.
    shifted = min(len(merit), _SHIFTED_MAX) * problem.windows
    return steps + _TIE * rank, float(shifted * (steps.max() + 1))
