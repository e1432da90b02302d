"""Where fetched and compiled files are kept between runs."""

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def cache_folder(name: str, fallback: Path | None = None) -> Path:
    """A folder `name` for files that can be made again: in the user's cache, else where this user can write.

    A service's user often has no home, or one that is read-only; the environment of Bilans itself is then the next
    best place, since it outlives a restart. `fallback` is taken when neither can be written to; without it, a new
    temporary folder.
    """
    for parent in _candidates():
        folder = parent / "bilans" / name
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue  # not writable for this user, or full: try the next
    if fallback is not None:
        fallback.mkdir(parents=True, exist_ok=True)
        return fallback
    return Path(tempfile.mkdtemp(prefix=f"bilans-{name}-"))


def kernel_cache_folder(fallback: Path | None = None) -> Path:
    """The folder for compiled kernels, one for each state of the code.

    Numba looks only at the file in which a kernel stands, not at the constants and kernels that it takes from others:
    a cache that outlives a change of those would go on with the old ones.
    """
    digest = hashlib.sha256()
    for path in sorted([*(_ROOT / "shared").rglob("*.py"), *(_ROOT / "services").rglob("*.py")]):
        digest.update(path.read_bytes())
    return cache_folder(f"numba-{digest.hexdigest()[:16]}", fallback)


def _candidates() -> list[Path]:
    candidates = []
    if os.environ.get("XDG_CACHE_HOME"):
        candidates.append(Path(os.environ["XDG_CACHE_HOME"]))
    with contextlib.suppress(RuntimeError):  # no HOME, and the user is not in the user database
        candidates.append(Path.home() / ".cache")
    candidates.append(Path(sys.prefix) / "cache")
    return [candidate for candidate in candidates if candidate.is_absolute()]
