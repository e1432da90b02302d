"""The machine and the software of a run: without them a figure says nothing."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

from shared.version import VERSION


def machine_facts() -> dict[str, str | int]:
    """Processor, cores, memory and versions, under the names that they have in a report."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
        "numba": version("numba"),
        "numpy": version("numpy"),
        "bilans": VERSION,
    }


def load_average() -> float:
    """The load of the last minute: how many processes wanted a core. A figure taken on a busy machine shows so."""
    return round(os.getloadavg()[0], 2)


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
