"""The zones' tree as an array of parents. Pure."""

from collections.abc import Sequence

from shared.words import ZoneKind

NO_PARENT = -1


def preorder(parent: Sequence[int]) -> list[int]:
    """The zones below the roots, each followed at once by those below it, siblings in their order in `parent`.

    `parent` holds each zone's parent's place, NO_PARENT for a root. Zones in or below a circle are left out.
    """
    children: list[list[int]] = [[] for _ in parent]
    waiting = []
    for zone, above in enumerate(parent):
        if above == NO_PARENT:
            waiting.append(zone)
        else:
            children[above].append(zone)
    waiting.reverse()
    order = []
    while waiting:
        zone = waiting.pop()
        order.append(zone)
        waiting.extend(reversed(children[zone]))
    return order


def circles(parent: Sequence[int]) -> list[list[int]]:
    """Every circle of parents, each as the zones on it from the first in `parent` upwards."""
    found = []
    state = [0] * len(parent)  # 0: not seen; k: seen on the walk that began at zone k - 1
    for start in range(len(parent)):
        zone = start
        while zone != NO_PARENT and state[zone] == 0:
            state[zone] = start + 1
            zone = parent[zone]
        if zone != NO_PARENT and state[zone] == start + 1:
            circle = [zone]
            while parent[circle[-1]] != zone:
                circle.append(parent[circle[-1]])
            first = circle.index(min(circle))
            found.append(circle[first:] + circle[:first])
    return found


def stations(parent: Sequence[int], kind: Sequence[str]) -> list[int]:
    """Each zone's station: the nearest zone of kind station on its path, else the zone itself.

    `parent` has parents before children.
    """
    station = list(range(len(parent)))
    for zone, above in enumerate(parent):
        if kind[zone] == ZoneKind.STATION or above == NO_PARENT:
            continue
        if kind[station[above]] == ZoneKind.STATION:
            station[zone] = station[above]
    return station
