"""What `up` accepts, and what its services are told."""

from pathlib import Path

import orjson
import pytest

from deploy.supervisor import waits_only_for_a_person
from deploy.up_options import Stores, UpOptions, check_options, external_stores, service_environment
from shared.errors import BilansError
from shared.settings import read_settings

KEY = {"BILANS_API_KEY": "secret"}


def options(folder: Path, **changes: object) -> UpOptions:
    return UpOptions(**({"data_dir": folder, "topology": None} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "environment", "said"),
    [
        ({"port": 0}, {}, "--port 0 is no port"),
        ({"ingest_port": 70_000}, {}, "--ingest-port 70000 is no port"),
        ({"port": 8001}, {}, "are both 8001"),
        ({"balancers": 0}, {}, "--balancers 0"),
        ({"topology": Path("/nowhere")}, {}, "no folder /nowhere"),
        ({"host": "0.0.0.0"}, {}, "without a key"),
        ({"host": "192.0.2.1", "auth": False}, KEY, "--auth off is for loopback"),
        ({"auth": True}, {}, "--auth on needs a key"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(
    tmp_path: Path, changes: dict[str, object], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(BilansError, match=said) as refused:
        check_options(options(tmp_path, **changes), environment)
    assert refused.value.way_out


@pytest.mark.parametrize(
    ("changes", "environment"),
    [({}, {}), ({"host": "0.0.0.0"}, KEY), ({"host": "::1"}, {}), ({"auth": False}, KEY), ({"auth": True}, KEY)],
)
def test_what_can_be_is_taken(tmp_path: Path, changes: dict[str, object], environment: dict[str, str]) -> None:
    check_options(options(tmp_path, **changes), environment)


def test_one_store_of_ones_own_without_the_other_is_refused() -> None:
    both = {"BILANS_KAFKA": "k:1", "BILANS_DATABASE_URL": "postgresql://u@h/d"}
    assert external_stores(both) == Stores("k:1", "postgresql://u@h/d")
    assert external_stores({}) is None
    for name, address in both.items():
        with pytest.raises(BilansError, match="is not set"):
            external_stores({name: address})


def test_the_services_are_told_what_up_was_asked(tmp_path: Path) -> None:
    asked = options(tmp_path, port=9000, ingest_port=9001, clock="event", fuse=False)
    environment = service_environment(asked, Stores("k:1", "postgresql://u@h/d"), KEY | {"BILANS_ARCHIVE": "here"})
    settings = read_settings(environment)
    assert (settings.kafka, settings.database_url) == ("k:1", "postgresql://u@h/d")
    assert (settings.port, settings.ingest_port, settings.clock) == (9000, 9001, "event")
    assert (settings.data_dir, settings.api_key, settings.fuse) == (tmp_path, "secret", False)
    assert settings.archive == str(Path("here").absolute())
    assert Path(environment["NUMBA_CACHE_DIR"]).is_dir()


@pytest.mark.parametrize(
    ("answer", "starts"),
    [
        ({"missing": ["the fuse"], "fuse": {"topic": "t"}}, True),
        ({"missing": ["no ingest is ready", "the fuse"], "fuse": {"topic": "t"}}, False),
        ({"missing": ["no ingest is ready"], "fuse": None}, False),
        ({"detail": "no such answer"}, False),
    ],
)
def test_a_blown_fuse_alone_does_not_keep_up_from_starting(answer: object, starts: bool) -> None:
    assert waits_only_for_a_person(orjson.dumps(answer)) == starts


def test_auth_off_takes_the_key_away(tmp_path: Path) -> None:
    environment = service_environment(options(tmp_path, auth=False), Stores("k:1", "d"), KEY)
    assert read_settings(environment).api_key == ""
