"""The command line lists its commands, and ends with one line and exit code 2 on an error for people."""

import subprocess
import sys

import pytest

from deploy import command_line
from shared.errors import BilansError


def test_help_lists_every_command_without_importing_any() -> None:
    code = """
import sys
from deploy.command_line import main
sys.argv[1:] = ["--help"]
try:
    main()
finally:
    print(*sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    help_text, modules = out.rsplit("\n", 2)[0], out.rsplit("\n", 2)[1].split()
    for name, entry in command_line._COMMANDS.items():
        assert f" {name} " in help_text
        assert entry.module not in modules
    assert not {"numba", "pyarrow", "aiokafka", "sqlalchemy"} & set(modules)


@pytest.mark.parametrize("name", list(command_line._COMMANDS))
def test_every_command_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bilans", name, "--help"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 0
    assert f"bilans {name}" in capsys.readouterr().out


def test_an_error_for_people_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["bilans", "up", "--port", "0"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "bilans: --port 0 is no port. Give one from 1 to 65535.\n"


def test_an_error_for_people_carries_its_way_out() -> None:
    assert str(BilansError("This is wrong.", "Do that.")) == "This is wrong. Do that."
