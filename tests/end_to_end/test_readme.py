"""The README's example answers as printed."""

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest

from tests.system import ROOT, SystemUnderTest, running_bilans

_EXAMPLE = re.compile(r"^\$ (curl .*)\n(.*)$", re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """The README's commands and what it says that they answer."""
    return _EXAMPLE.findall((ROOT / "README.md").read_text())


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemUnderTest]:
    with running_bilans(tmp_path_factory.mktemp("readme"), ROOT / "deploy/example") as running:
        yield running


def answer(system: SystemUnderTest, command: str) -> str:
    """What the command answers on the system under test."""
    addresses = system.addresses
    here = command.replace("http://127.0.0.1:8001", addresses.ingest).replace("http://127.0.0.1:8000", addresses.api)
    ended = subprocess.run(shlex.split(here), cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.strip()


def test_every_example_answers_as_printed(system: SystemUnderTest) -> None:
    assert len(examples()) == 4
    for command, printed in examples():
        found = answer(system, command)
        system.wait_handled(6)
        pattern = ".*".join(re.escape(part) for part in printed.split("…"))
        assert re.fullmatch(pattern, found), f"{command}\nprinted {printed}\nanswers {found}"
