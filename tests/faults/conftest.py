"""The fault runs: only `bilans test --faults-ci` and `--faults` collect them (they set the variable of tier.py)."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults.scene import Scene, rural_scene
from tests.faults.tier import TIER

FULL_ONLY = ("test_soak.py", "test_disk_full.py")
ROOT_ONLY = ("test_disk_full.py",)
"""It mounts a file system."""
_recoveries_s: list[float] = []


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves the fault runs out of the default suite, and what takes long out of CI."""
    name = collection_path.name
    left_out = not TIER or (name in FULL_ONLY and TIER != "full") or (name in ROOT_ONLY and os.geteuid() != 0)
    return True if name.startswith("test_") and left_out else None


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A cluster with one balancer, for all tests of a file: each goes on where the one before ended."""
    running = rural_scene(tmp_path_factory.mktemp("scene"))
    try:
        yield running
    finally:
        _recoveries_s.extend(running.recoveries_s)
        running.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how long recoveries took, as JSON."""
    if _recoveries_s:
        figures = {"recovery_p95_s": p95(_recoveries_s), "recovery_longest_s": max(_recoveries_s)}
        line = {"recoveries": len(_recoveries_s)} | {name: round(seconds, 2) for name, seconds in figures.items()}
        terminalreporter.write_line(json.dumps(line))


def p95(figures: list[float]) -> float:
    """The 95th percentile, between neighbouring figures where it falls there."""
    return float(np.percentile(figures, 95))
