"""Checkpoints: a partition's state and offset in a file, whole or not there, the last two kept (design section 7).

A file is one line of JSON (what follows, its length and SHA-256) and numpy's archive of the arrays. Only the readings
that are held are written, not the empty places beside them.
"""

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from shared.balance.memory import SeriesMemory, empty_memory, held_readings, put_held

_FORMAT = 3
_KEPT = 2


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A partition's state after all messages before `next_offset` and the steps beside the log up to then."""

    partition: int
    next_offset: int
    topology: int
    event_now_s: int | None
    history_step: int
    """How many steps beside the log are in it (services/balancer/history_lane.py)."""
    memory: SeriesMemory


def _folder(root: Path, partition: int) -> Path:
    return root / f"partition-{partition:03d}"


def _name(next_offset: int) -> str:
    return f"{next_offset:020d}.checkpoint"


def write_checkpoint(root: Path, checkpoint: Checkpoint) -> Path:
    """Writes it, first under another name, and drops all but the last two.

    Raises OSError when there is no room for it, or nobody may write there; nothing is left of it then.
    """
    folder = _folder(root, checkpoint.partition)
    folder.mkdir(parents=True, exist_ok=True)
    content = _pack(checkpoint.memory)
    head = {
        "format": _FORMAT,
        "partition": checkpoint.partition,
        "next_offset": checkpoint.next_offset,
        "topology": checkpoint.topology,
        "history_step": checkpoint.history_step,
        "event_now_s": checkpoint.event_now_s,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    path = folder / _name(checkpoint.next_offset)
    unfinished = path.with_suffix(f".{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(orjson.dumps(head) + b"\n")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _drop_old(folder)
    return path


def newest_checkpoint(root: Path, partition: int, offset_max: int, history_step_max: int) -> Checkpoint | None:
    """The newest that is whole and not ahead of what the tables hold; None when there is none.

    A damaged file is passed over: the one before it, or the log, has all that it had.
    """
    folder = _folder(root, partition)
    for path in sorted(folder.glob("*.checkpoint"), reverse=True):
        checkpoint = _read(path)
        if (
            checkpoint is not None
            and checkpoint.partition == partition
            and checkpoint.next_offset <= offset_max
            and checkpoint.history_step <= history_step_max
        ):
            return checkpoint
    return None


def _drop_old(folder: Path) -> None:
    for path in sorted(folder.glob("*.checkpoint"), reverse=True)[_KEPT:]:
        path.unlink(missing_ok=True)


def _pack(memory: SeriesMemory) -> bytes:
    slots = np.arange(len(memory.series))
    series = memory.series.copy()
    series["start"] = 0
    arrays = memory._asdict() | {"series": series, "held": held_readings(memory, slots)}
    sink = io.BytesIO()
    np.savez(sink, allow_pickle=False, capacity=np.array(memory.capacity), **arrays)
    return sink.getvalue()


def _unpack(content: bytes) -> SeriesMemory:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        slots = len(arrays["series"])
        memory = empty_memory(slots, int(arrays["capacity"]))
        for name, array in memory._asdict().items():
            if name != "held":
                array[:] = arrays[name]
        put_held(memory, np.arange(slots), arrays["held"])
    return memory


def _read(path: Path) -> Checkpoint | None:
    try:
        with path.open("rb") as file:
            head = orjson.loads(file.readline())
            content = file.read()
        if head["format"] != _FORMAT or len(content) != head["bytes"]:
            return None
        if hashlib.sha256(content).hexdigest() != head["sha256"]:
            return None
        return Checkpoint(
            head["partition"],
            head["next_offset"],
            head["topology"],
            head["event_now_s"],
            head["history_step"],
            _unpack(content),
        )
    except (OSError, ValueError, KeyError):
        return None
