"""The jars of the embedded Kafka: named in `jars.lock` with their SHA-256, fetched once through jgo, and cached."""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.cache_folder import cache_folder
from shared.errors import BilansError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("jars.lock")
DOWNLOADS_AT_ONCE = 8
TRIES = 3
TIMEOUT_S = 15

Progress = Callable[[int, int], None]
"""Is told the bytes at hand and the bytes of all jars; what it raises ends the fetch."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    coordinate: str
    """`group:artifact:version`"""
    sha256: str
    bytes: int

    @property
    def filename(self) -> str:
        """`artifact-version.jar`, as in a Maven repository."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def read_lock(lock: Path = LOCK) -> list[Jar]:
    """The jars in the order of the class path."""
    lines = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    fields = [line.split() for line in lines]
    return [Jar(coordinate, sha256, int(size)) for coordinate, sha256, size in fields]


def ensure_jars(progress: Progress, folder: Path | None = None, jars: list[Jar] | None = None) -> list[Path]:
    """The paths of all jars of the lock, every one with the right checksum; those that are missing are fetched.

    An interrupted fetch goes on where it stopped: each jar is moved into the cache whole, and only after its checksum
    was right. A jar in the cache that is not what the lock says is fetched again. All 45 MB are hashed at every start,
    which takes less than a tenth of a second.

    Raises BilansError when the repository is out of reach, a checksum differs or the disk is full.
    """
    folder = folder or cache_folder("jars")
    jars = jars if jars is not None else read_lock()
    missing = [jar for jar in jars if not _is_whole(folder / jar.filename, jar)]
    if missing:
        _fetch(missing, folder, progress, total=sum(jar.bytes for jar in jars))
    return [folder / jar.filename for jar in jars]


def _is_whole(path: Path, jar: Jar) -> bool:
    try:
        return path.stat().st_size == jar.bytes and _sha256(path) == jar.sha256
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(missing: list[Jar], folder: Path, progress: Progress, total: int) -> None:
    done = total - sum(jar.bytes for jar in missing)
    progress(done, total)
    # jgo writes straight to the file's name, so it works in a folder of its own: half a download is no jar.
    staging = Path(tempfile.mkdtemp(prefix=".fetch-", dir=folder))
    pool = ThreadPoolExecutor(DOWNLOADS_AT_ONCE)
    try:
        context = maven_context(staging)
        downloads = {pool.submit(_fetch_one, context, jar, folder): jar for jar in missing}
        for download in as_completed(downloads):
            download.result()
            done += downloads[download].bytes
            progress(done, total)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(staging, ignore_errors=True)


def maven_context(repository: Path) -> "MavenContext":
    """The context of jgo, downloading to `repository`; the mirrors of the user's own jgo configuration come first."""
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=repository, timeout=TIMEOUT_S)
    context.remote_repos = {**GlobalSettings.load().repositories, **context.remote_repos}
    return context


def _fetch_one(context: "MavenContext", jar: Jar, folder: Path) -> None:
    reason = ""
    for _ in range(TRIES):
        artifact = context.create_dependency(jar.coordinate).artifact
        try:
            path = artifact.resolve()
            if _is_whole(path, jar):
                path.replace(folder / jar.filename)
                return
            reason = f"its SHA-256 is {_sha256(path)}, not {jar.sha256}"
        except OSError as error:  # the errors of `requests` are OSErrors too
            if error.errno == errno.ENOSPC:
                raise BilansError(
                    f"The disk is full at {folder}.", "Make room, then run the same command again."
                ) from error
            reason = _short(error)
        except (RuntimeError, AssertionError) as error:
            reason = _short(error)
        if artifact.cached_path is not None:
            artifact.cached_path.unlink(missing_ok=True)
    raise BilansError(
        f"Kafka's jar {jar.coordinate} could not be fetched: {reason}.",
        "Check the network, the proxy (HTTPS_PROXY) or the mirror in ~/.config/jgo.conf, then run the same command "
        "again: what was fetched stays.",
    )


def _short(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
