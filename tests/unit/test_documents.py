"""What the documents say of files is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_PATH = re.compile(r"`((?:services|shared|deploy|tests)/[\w./-]*)`")


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md"])
def test_every_path_that_is_named_exists(name: str) -> None:
    named = set(_PATH.findall((ROOT / name).read_text()))
    assert len(named) > 5
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "ARCHITECTURE.md").read_text()
    chosen = [
        re.split(r"[\[<>=; ]", line)[0]
        for name in ("requirements.in", "requirements-dev.in")
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith(("#", "-"))
    ]
    assert len(chosen) > 20
    assert [package for package in chosen if package not in reasons] == []


def test_lock_files_name_no_host() -> None:
    """Where packages come from is for each machine to say."""
    locks = [*ROOT.glob("*.lock"), ROOT / "deploy/embedded/jars.lock"]
    assert [lock.name for lock in locks if "://" in lock.read_text()] == []
    assert '"resolved"' not in (ROOT / "services/api/static/package-lock.json").read_text()
