"""The benchmarks' own runs: collected with the fault runs alone, since each starts a whole system for a few seconds."""

from pathlib import Path

from tests.faults.tier import TIER


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leaves them out of the default suite."""
    return True if collection_path.name.startswith("test_") and not TIER else None
