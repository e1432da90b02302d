"""What a change of topology does to the series in memory: their energy is taken back where it was and counted anew."""

import numpy as np
import numpy.typing as npt

from shared.balance.placement import Placement


def _zone_paths(placement: Placement) -> list[tuple[int, ...]]:
    """For each zone index the permanent numbers of the zone and of all above it."""
    paths: list[tuple[int, ...]] = []
    for zone, parent in enumerate(placement.zone_parent.tolist()):
        above = paths[parent] if parent >= 0 else ()
        paths.append((int(placement.zone_id[zone]), *above))
    return paths


class _Words:
    """Says of a slot where and how it counts, as bytes: equal bytes, equal totals."""

    def __init__(self, placement: Placement, numbers: dict[tuple[int, ...], int]) -> None:
        """`numbers` numbers the zones' paths, the same ones alike in both placements."""
        paths = np.array([numbers.setdefault(path, len(numbers)) for path in _zone_paths(placement)], np.int64)
        self._placement = placement
        self._places = np.stack(
            [
                paths[placement.zone] if len(paths) else placement.zone.astype(np.int64),
                placement.kind.astype(np.int64),
                placement.pool.astype(np.int64),
                placement.energy_wh_max,
                placement.valid_from_s,
                placement.valid_to_s,
            ],
            axis=1,
        )
        self._exchanges = np.stack(
            [
                placement.exchange_at_s,
                placement.exchange_last_wh,
                placement.exchange_first_wh,
                placement.exchange_blank.astype(np.int64),
            ],
            axis=1,
        )

    def of(self, slot: int) -> tuple[bytes, bytes]:
        """The slot's places and exchanges."""
        placement = self._placement
        if slot >= len(placement.register):
            return b"", b""
        places = self._places[placement.first_place[slot] : placement.first_place[slot + 1]]
        exchanges = self._exchanges[placement.first_exchange[slot] : placement.first_exchange[slot + 1]]
        return places.tobytes(), exchanges.tobytes()


def touched_slots(before: Placement, after: Placement, slots: npt.NDArray[np.intp]) -> list[int]:
    """Those of `slots` that count differently: by meter row, zone path, `excluded` or exchange (design section 5).

    Names, coordinates, limits and assets are not in a placement, so they touch nothing.
    """
    numbers: dict[tuple[int, ...], int] = {}
    old, new = _Words(before, numbers), _Words(after, numbers)
    return [slot for slot in slots.tolist() if old.of(slot) != new.of(slot)]
