"""Selection in merit order: from the cheapest asset on, each gives what it can, until the power is reached.

Within one window that is the best there is: zones within zones take what they have room for, whichever asset comes
first. What it cannot do is to share out an asset's energy over the windows, so it spreads it evenly. It is the check of
the linear programme (never better than that, and the same where no energy limits), and what stands in for it.
"""

import numpy as np

from shared.flexibility.selection_problem import Int64Array, Selection, SelectionProblem

MERIT_ORDER = "merit order"


def select_in_merit_order(problem: SelectionProblem) -> Selection:
    """The greatest constant power that merit order finds, up to the target, from the cheapest assets on."""
    limit_w = evenly(problem, problem.energy_w)
    nothing = np.zeros_like(limit_w)
    most_w = fill_in_merit_order(problem, nothing, limit_w, problem.target_w)
    held_w = int(most_w.sum(axis=0).min(initial=problem.target_w))
    return Selection(held_w, fill_in_merit_order(problem, nothing, limit_w, held_w), MERIT_ORDER)


def fill_in_merit_order(
    problem: SelectionProblem, given_w: Int64Array, limit_w: Int64Array, target_w: int
) -> Int64Array:
    """`given_w` [A, W] and, from the cheapest asset on, what is missing of `target_w` in each window.

    No asset gets more than `limit_w` [A, W], and none more energy or headroom than the problem has.
    """
    power_w = given_w.copy()
    missing_w = np.maximum(target_w - power_w.sum(axis=0), 0)
    energy_w = problem.energy_w - power_w.sum(axis=1)
    room_w = {zone: problem.headroom_w[zone] - power_w[members].sum(axis=0) for zone, members in problem.below.items()}
    for asset in problem.merit.tolist():
        if not missing_w.any():
            break
        more_w = np.minimum(np.maximum(limit_w[asset] - power_w[asset], 0), missing_w)
        path = [zone for zone in problem.path_of(int(problem.zone[asset])) if zone in room_w]
        for zone in path:
            more_w = np.minimum(more_w, np.maximum(room_w[zone], 0))
        # What the energy is for is given to the earlier windows.
        spent_w = np.minimum(np.cumsum(more_w), max(int(energy_w[asset]), 0))
        more_w = np.diff(spent_w, prepend=0)
        power_w[asset] += more_w
        missing_w = missing_w - more_w
        for zone in path:
            room_w[zone] = room_w[zone] - more_w
    return power_w


def evenly(problem: SelectionProblem, energy_w: Int64Array, *, beyond_w: int = 0) -> Int64Array:
    """[A, W] Each asset's power, cut `beyond_w` above the greatest level at which its energy lasts over all windows.

    `energy_w` [A] is what its powers in all windows may sum up to.
    """
    energy_w = energy_w[:, None]
    low = np.zeros_like(energy_w)
    high = problem.power_w.max(axis=1, initial=0)[:, None]
    while (low < high).any():  # the level is at least `low`, at most `high`
        middle = low + (high - low + 1) // 2
        lasts = np.minimum(problem.power_w, middle).sum(axis=1, keepdims=True) <= energy_w
        low, high = np.where(lasts, middle, low), np.where(lasts, high, middle - 1)
    return np.minimum(problem.power_w, low + beyond_w)
