"""`bilans topology` as a person and a script see it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.topology_log import settings_for, write_folder

ROOT = Path(__file__).parents[2]
ZONES = "zone,parent,kind\nC,,cluster\nS,C,station\n"
METERS = "meter,zone,kind,registers\na,S,consumer,1.8.0\nb,S,pv,2.8.0\n"
WRONG = "meter,zone,kind,registers\na,S,consumer,9.9\nb,T,pv,2.8.0\n"


def _topology(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.command_line", "topology", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("BILANS_")} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_check_says_every_error_on_a_line_of_its_own(tmp_path: Path) -> None:
    ended = _topology("check", str(write_folder(tmp_path, zones=ZONES, meters=WRONG)))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "meters.csv:2: registers '9.9' names '9.9', which is none of 1.8.0, 2.8.0, 1.7.0, 2.7.0, soc (joined by |)",
        "meters.csv:3: zone 'T' is not in zones.csv",
        f"bilans: 2 errors in the topology {tmp_path}; nothing was loaded.",
    ]


def test_check_in_json(tmp_path: Path) -> None:
    wrong = json.loads(_topology("check", "--json", str(write_folder(tmp_path, zones=ZONES, meters=WRONG))).stdout)
    assert [(error["file"], error["line"]) for error in wrong["errors"]] == [("meters.csv", 2), ("meters.csv", 3)]
    right = _topology("check", "--json", str(write_folder(tmp_path, meters=METERS)))
    assert right.returncode == 0
    assert json.loads(right.stdout)["meter_rows"] == 2


def test_load_under_the_addresses_of_a_data_folder(embedded_kafka: str, embedded_postgres: str, tmp_path: Path) -> None:
    settings_for(embedded_kafka, embedded_postgres)
    run = tmp_path / "data" / "run"
    run.mkdir(parents=True)
    addresses = {
        "api": "http://127.0.0.1:1",
        "ingest": "http://127.0.0.1:1",
        "kafka": embedded_kafka,
        "database_url": embedded_postgres,
    }
    (run / "addresses.json").write_text(json.dumps(addresses))
    folder = str(write_folder(tmp_path / "folder", zones=ZONES, meters=METERS))
    first = _topology("load", folder, "--data-dir", str(tmp_path / "data"), "--json")
    assert first.returncode == 0, first.stderr
    loaded = json.loads(first.stdout)
    assert (loaded["topology"], loaded["changed"], loaded["meters"], loaded["series"]) == (1, True, 2, 2)
    again = _topology("load", folder, "--data-dir", str(tmp_path / "data"))
    assert again.stdout == "Topology 1 is in force already, with the same content: nothing was changed.\n"
    # With --wait it must hear from the API that all is recomputed, and says so when it cannot.
    waiting = _topology("load", folder, "--data-dir", str(tmp_path / "data"), "--wait", "--timeout", "1")
    assert waiting.returncode == 2
    assert "the time is over before all is recomputed" in waiting.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "BILANS_KAFKA is not set"),
        (
            {"BILANS_KAFKA": "127.0.0.1:1", "BILANS_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"},
            "The database does not answer as it should",
        ),
    ],
)
def test_load_without_a_system_is_one_line_and_the_way_out(
    tmp_path: Path, environment: dict[str, str], said: str
) -> None:
    ended = _topology("load", str(write_folder(tmp_path, zones=ZONES, meters=METERS)), **environment)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "./bilans up" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
