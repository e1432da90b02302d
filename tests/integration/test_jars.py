"""Jars in the cache are the ones of the lock, whatever happened to them."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.embedded.jars import Jar, ensure_jars
from shared.errors import BilansError

CONTENT = b"a jar of our own"
JAR = Jar("org.example:thing:1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Repository(http.server.BaseHTTPRequestHandler):
    """Answers every jar with `content`."""

    content = CONTENT

    def do_GET(self) -> None:
        found = self.path.endswith("thing-1.0.jar")
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(self.content) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(self.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Keeps the test's output quiet."""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Repository]]:
    """A mirror on loopback, named first in the user's own configuration of jgo."""
    served = type("Served", (Repository,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        configuration = tmp_path / "jgo.conf"
        configuration.write_text(f"[repositories]\nmirror = http://127.0.0.1:{server.server_port}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))
        yield served
        server.shutdown()


def fetch(folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    return ensure_jars(lambda done, total: None, folder, [JAR])


@pytest.mark.usefixtures("repository")
def test_a_missing_jar_is_fetched_and_only_it_is_left(tmp_path: Path) -> None:
    (path,) = fetch(tmp_path / "jars")
    assert path.read_bytes() == CONTENT
    assert list((tmp_path / "jars").iterdir()) == [path]


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("damaged", [b"", CONTENT[:-1], b"A" + CONTENT[1:]], ids=["empty", "cut short", "changed"])
def test_a_damaged_jar_is_fetched_again(tmp_path: Path, damaged: bytes) -> None:
    (path,) = fetch(tmp_path / "jars")
    path.write_bytes(damaged)
    assert fetch(tmp_path / "jars") == [path]
    assert path.read_bytes() == CONTENT


def test_a_jar_with_another_checksum_is_refused_and_never_reaches_the_cache(
    tmp_path: Path, repository: type[Repository]
) -> None:
    repository.content = b"B" + CONTENT[1:]
    with pytest.raises(BilansError, match=r"thing:1\.0 could not be fetched: its SHA-256"):
        fetch(tmp_path / "jars")
    assert list((tmp_path / "jars").iterdir()) == []


def test_a_whole_cache_asks_nobody(tmp_path: Path, repository: type[Repository]) -> None:
    fetch(tmp_path / "jars")
    repository.content = b"nothing of use"
    asked: list[int] = []
    ensure_jars(lambda done, total: asked.append(done), tmp_path / "jars", [JAR])
    assert asked == []
