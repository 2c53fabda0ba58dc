"""`python tests/inference/without.py landlock[+seccomp] MODULE …`: on a kernel that lacks these.

A seccomp filter has the kernel answer that it knows no such call, from this process on.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

from inference.sandbox import landlock, seccomp

CALLS = {
    "landlock": (landlock.CREATE_RULESET, landlock.ADD_RULE, landlock.RESTRICT_SELF),
    "seccomp": tuple(seccomp.SECCOMP.values()),
}


def refuse(numbers: tuple[int, ...]) -> None:
    """From now on these calls do not exist."""
    program = [(seccomp.LOAD, 0, 0, seccomp.NUMBER)]
    program += seccomp._each(numbers, seccomp._refuse(errno.ENOSYS))
    program.append((seccomp.RETURN, 0, 0, seccomp.ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    described = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    number = seccomp.SECCOMP[platform.machine()]
    if libc.syscall(number, seccomp.SET_MODE_FILTER, seccomp.EVERY_THREAD, described) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def main() -> None:
    """Become a kernel of before, then the program."""
    for name in sys.argv[1].split("+"):
        refuse(CALLS[name])
    os.execv(sys.executable, [sys.executable, "-u", "-m", *sys.argv[2:]])  # noqa: S606


if __name__ == "__main__":
    main()
