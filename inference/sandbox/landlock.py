"""Landlock (Linux 5.13 or newer): this process and what it starts may open only what is named.

Called through ctypes, since neither Python nor glibc has it. See landlock(7).
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
EVERYTHING_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
NET_BIND_AND_CONNECT = 3
SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 3

READING = EXECUTE | READ_FILE | READ_DIR
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The kernel's version of it; 0 where it has none."""
    found = _libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), CREATE_RULESET_VERSION)
    return max(0, int(found))


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> str:
    """From now on open only what lies below these; connect and bind nothing over TCP.

    Returns what holds, in words. Raises `OSError` where the kernel refuses. `no_new_privs` must
    be set before.
    """
    abi = version()
    if abi == 0:
        raise OSError("this kernel has no Landlock")
    everything = next(EVERYTHING_BY_VERSION[v] for v in (5, 3, 2, 1) if abi >= v)
    attributes = struct.pack(
        "QQQ",
        everything,
        NET_BIND_AND_CONNECT if abi >= 4 else 0,
        SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0,
    )
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = _call(CREATE_RULESET, attributes[:size], ctypes.c_size_t(size), 0)
    try:
        for path in readable:
            _allow(ruleset, path, READING & everything)
        for path in writable:
            _allow(ruleset, path, everything & ~EXECUTE)
        _call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return f"landlock {abi}"


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # What is not there cannot be opened either.
    try:
        if not path.is_dir():
            access &= OF_A_FILE
        rule = struct.pack("=Qi", access, place)
        _call(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return result
