"""Simulated assets that follow set-points: the readings of their meters become what they would be with them.

A set-point is a change of injection over a window. A meter first gives up the opposite flow that it has in that window
(a storage that discharges stops, a PV inverter is curtailed), then takes the rest on the other register, where it has
one. So does the boundary meter of the assets' station, which sees the same change.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from deploy.replay.pacing import UNITS_A_SECOND
from deploy.replay.time_order import instants
from shared.limits import QUARTER_S
from shared.words import Register


@dataclass(frozen=True, slots=True)
class SimulatedAsset:
    """An asset at its meter."""

    asset: str
    meter: str
    registers: frozenset[str]
    efficiency: float
    """Of what a storage takes, so much is stored."""


class Setpoint(NamedTuple):
    """What a message of `bilans.dispatch` asks for."""

    asset: str
    window_start_s: int
    change_wh: int
    """Change of the energy injected in the window, Wh: negative for more withdrawal or less injection."""
    revision: int


class FollowingAssets:
    """Changes the readings of some meters by the set-points given so far."""

    def __init__(
        self, assets: Iterable[SimulatedAsset], boundary_meter: str, boundary_registers: frozenset[str]
    ) -> None:
        """All `assets` are behind `boundary_meter`."""
        self._assets = {asset.asset: asset for asset in assets}
        self._boundary = boundary_meter
        self._registers: dict[str, frozenset[str]] = {boundary_meter: boundary_registers}
        self._registers |= {asset.meter: asset.registers for asset in self._assets.values()}
        self._asset_at = {asset.meter: asset for asset in self._assets.values()}
        self._setpoints: dict[tuple[str, int], Setpoint] = {}
        self._last: dict[tuple[str, str], tuple[int, int]] = {}
        self._shift: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._done: set[tuple[str, int]] = set()
        self._made_wh: defaultdict[int, int] = defaultdict(int)

    def take(self, setpoint: Setpoint) -> bool:
        """Takes a set-point, or a newer revision of it; says whether its asset is simulated here."""
        if setpoint.asset not in self._assets:
            return False
        key = (setpoint.asset, setpoint.window_start_s)
        known = self._setpoints.get(key)
        if known is None or known.revision < setpoint.revision:  # a message that comes twice is the same one
            self._setpoints[key] = setpoint
        return True

    def follow(self, chunk: pa.RecordBatch) -> pa.RecordBatch:
        """The chunk with the values of the assets' meters as they become.

        Chunks come in the order of time, and a chunk has all readings of an instant.
        """
        meters, registers = chunk.column("meter"), chunk.column("register")
        names = meters.dictionary.to_pylist()
        watched = [number for number, name in enumerate(names) if name in self._registers]
        rows = np.flatnonzero(np.isin(meters.indices.to_numpy(), watched))
        if not len(rows):
            return chunk
        values = chunk.column("value").to_numpy().copy()
        instant_s = _seconds(chunk)[rows].tolist()
        meter = [names[code] for code in meters.indices.to_numpy()[rows].tolist()]
        words = registers.dictionary.to_pylist()
        register = [words[code] for code in registers.indices.to_numpy()[rows].tolist()]
        self._note_windows(meter, register, instant_s, values[rows].tolist())
        for row, name, word in zip(rows.tolist(), meter, register, strict=True):
            values[row] += self._shift[name, word]
        arrays = [pa.array(values) if column == "value" else chunk.column(column) for column in chunk.schema.names]
        return pa.RecordBatch.from_arrays(arrays, names=chunk.schema.names)

    def _note_windows(self, meter: list[str], register: list[str], instant_s: list[int], value: list[int]) -> None:
        """Works out what the windows that end with these readings change, each once."""
        flows: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
        for name, word, at_s, now in zip(meter, register, instant_s, value, strict=True):
            before = self._last.get((name, word))
            self._last[name, word] = (at_s, now)
            if before is not None and before[0] == at_s - QUARTER_S:
                flows[name, at_s - QUARTER_S][word] = now - before[1]
        # The boundary meter comes last: it sees what the assets behind it made of their set-points.
        for (name, window_start_s), energy_wh in sorted(flows.items(), key=lambda flow: flow[0][0] == self._boundary):
            change_wh = self._change_wh(name, window_start_s)
            if change_wh and (name, window_start_s) not in self._done:
                self._done.add((name, window_start_s))
                self._apply(name, window_start_s, change_wh, energy_wh)

    def _change_wh(self, meter: str, window_start_s: int) -> int:
        if meter == self._boundary:
            return self._made_wh[window_start_s]
        setpoint = self._setpoints.get((self._asset_at[meter].asset, window_start_s))
        return 0 if setpoint is None else setpoint.change_wh

    def _apply(self, meter: str, window_start_s: int, change_wh: int, energy_wh: Mapping[str, int]) -> None:
        given, taken = Register.INJECTED.value, Register.WITHDRAWN.value
        more, less = (given, taken) if change_wh > 0 else (taken, given)
        spared_wh = min(abs(change_wh), max(energy_wh.get(less, 0), 0))
        rest_wh = abs(change_wh) - spared_wh if more in self._registers[meter] else 0
        self._shift[meter, less] -= spared_wh
        self._shift[meter, more] += rest_wh
        asset = self._asset_at.get(meter)
        if asset is None:
            return
        made_wh = (spared_wh + rest_wh) * (1 if change_wh > 0 else -1)
        self._made_wh[window_start_s] += made_wh
        if Register.STATE_OF_CHARGE in asset.registers:
            stored_wh = -made_wh if made_wh > 0 else round(-made_wh * asset.efficiency)
            self._shift[meter, Register.STATE_OF_CHARGE.value] += stored_wh


def _seconds(chunk: pa.RecordBatch) -> npt.NDArray[np.int64]:
    return instants(chunk) // UNITS_A_SECOND[chunk.column("ts").type.unit]
