"""Runs a program that ends when its parent ends, also when that is killed with SIGKILL (Linux).

`python die_with_parent.py PARENT SIGNAL UID:GID|- PROGRAM [ARGUMENT …]`

The kernel sends SIGNAL when the thread that started this process ends, so the parent must start it from its main
thread. This is a program of its own, and not `preexec_fn`: Python code between fork and exec can lock up in a parent
that has threads. It imports only the standard library, so that it starts within milliseconds.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Becomes the program; does not return."""
    parent, death_signal, user, program = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3:]
    if user != "-":
        uid, gid = (int(part) for part in user.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # Only now: a change of user clears the flag.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel knew that we want to be told
        sys.exit(1)
    os.execv(program[0], program)


if __name__ == "__main__":
    main(sys.argv[1:])
