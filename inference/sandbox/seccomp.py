"""A seccomp filter: system calls that a network never needs are refused by the kernel.

No sockets, no programs, no processes, no signals to others, no mounts, no tracing. Written as the
few instructions of classic BPF it needs; the table has the numbers of x86-64 and AArch64.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# name: (number on x86-64, number on AArch64); None where it does not exist there.
CALLS: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "bind": (49, 200),
    "listen": (50, 201), "accept4": (288, 242),
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "open_by_handle_at": (304, 265), "iopl": (172, None), "ioperm": (173, None),
    "personality": (135, 92), "quotactl": (179, 60),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # Landlock does not know these: owner, mode, attributes and times of a file.
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14),
    "lremovexattr": (198, 15), "fremovexattr": (199, 16), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
}  # fmt: skip
# What changes the disk: refused too where there is no Landlock to say where it may be changed.
CHANGES: dict[str, tuple[int | None, int | None]] = {
    "creat": (85, None), "truncate": (76, 45), "mkdir": (83, None), "mkdirat": (258, 34),
    "rmdir": (84, None), "unlink": (87, None), "unlinkat": (263, 35), "rename": (82, None),
    "renameat": (264, 38), "renameat2": (316, 276), "link": (86, None), "linkat": (265, 37),
    "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip
CLONE, CLONE3, TGKILL, PRLIMIT64 = (56, 220), (435, 435), (234, 131), (302, 261)
OPEN, OPENAT, OPENAT2 = (2, None), (257, 56), (437, 437)
CLONE_THREAD = 0x00010000
X32 = 0x40000000

LOAD, EQUALS, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCH, FIRST_ARGUMENT = 0, 4, 16
PR_SET_NO_NEW_PRIVS, SET_MODE_FILTER, EVERY_THREAD = 38, 1, 1
SECCOMP = {"x86_64": 317, "aarch64": 277}

Instruction = tuple[int, int, int, int]
_libc = ctypes.CDLL(None, use_errno=True)


def restrict(*, changes_allowed: bool) -> str:
    """Install the filter on every thread; returns what holds. Raises `OSError` where it cannot.

    `changes_allowed` says that Landlock guards the disk; without it nothing may be opened for
    writing, made, moved or removed.
    """
    machine = platform.machine()
    if machine not in AUDIT_ARCH:
        raise OSError(f"no system calls are known of {machine}")
    column = list(AUDIT_ARCH).index(machine)
    program = _program(column, AUDIT_ARCH[machine], changes_allowed)
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)
    described = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if _libc.syscall(SECCOMP[machine], SET_MODE_FILTER, EVERY_THREAD, described) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"seccomp: {os.strerror(error)}")
    return "seccomp" if changes_allowed else "seccomp, no writing at all"


def _program(column: int, arch: int, changes_allowed: bool) -> list[Instruction]:
    denied = _refuse(errno.EACCES)
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCH),
        (EQUALS, 1, 0, arch),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, denied),
    ]
    names = CALLS if changes_allowed else CALLS | CHANGES
    program += _each((numbers[column] for numbers in names.values()), denied)
    # glibc falls back to clone and openat where these are said not to exist.
    program += _each([CLONE3[column]], _refuse(errno.ENOSYS))
    program += _unless_bit(CLONE[column], 0, CLONE_THREAD, denied)
    program += _unless_equal(TGKILL[column], 0, os.getpid(), denied)
    program += _unless_equal(PRLIMIT64[column], 0, 0, denied)
    if not changes_allowed:
        writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
        program += _each([OPENAT2[column]], _refuse(errno.ENOSYS))
        program += _if_bit(OPENAT[column], 2, writing, denied)
        program += _if_bit(OPEN[column], 1, writing, denied)
    return [*program, (RETURN, 0, 0, ALLOW)]


def _refuse(error: int) -> int:
    return REFUSE | error


def _each(numbers: Iterable[int | None], answer: int) -> list[Instruction]:
    found: list[Instruction] = []
    for number in numbers:
        if number is not None:
            found += [(EQUALS, 0, 1, number), (RETURN, 0, 0, answer)]
    return found


def _on(number: int | None, argument: int, test: list[Instruction]) -> list[Instruction]:
    """The test on a call's argument (its lower half); the number is loaded again after it."""
    if number is None:
        return []
    body = [(LOAD, 0, 0, FIRST_ARGUMENT + 8 * argument), *test, (LOAD, 0, 0, NUMBER)]
    return [(EQUALS, 0, len(body), number), *body]


def _unless_bit(number: int | None, argument: int, bit: int, answer: int) -> list[Instruction]:
    return _on(number, argument, [(ANY_BIT, 1, 0, bit), (RETURN, 0, 0, answer)])


def _if_bit(number: int | None, argument: int, bits: int, answer: int) -> list[Instruction]:
    return _on(number, argument, [(ANY_BIT, 0, 1, bits), (RETURN, 0, 0, answer)])


def _unless_equal(number: int | None, argument: int, value: int, answer: int) -> list[Instruction]:
    return _on(number, argument, [(EQUALS, 1, 0, value), (RETURN, 0, 0, answer)])
