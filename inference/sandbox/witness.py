"""Sees what a model tries that the kernel will refuse, so that it can be named.

A hook on Python's audit events. It stops nothing: Landlock and seccomp do. Code that is not Python
escapes its eye, not theirs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

MOST = 20
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {
    "os.mkdir": "make", "os.rename": "move", "os.remove": "remove", "os.rmdir": "remove",
    "os.link": "link", "os.symlink": "link", "os.truncate": "cut off", "os.chmod": "change",
    "os.chown": "change", "os.utime": "change",
}  # fmt: skip
PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
PROCESSES = ("os.fork", "os.forkpty")


class Witness:
    """Keeps what was tried since it was armed, in words, each once."""

    def __init__(self, allowed: Path) -> None:
        self._allowed = str(allowed.resolve())
        self._armed = False
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def arm(self) -> None:
        """Everything from now on is the model's doing."""
        self._armed = True

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._armed:
            return
        words = self._words(event, arguments)
        if words and words not in self.seen and len(self.seen) < MOST:
            self.seen.append(words)

    def _words(self, event: str, arguments: tuple[Any, ...]) -> str:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & WRITING and self._outside(path):
                return f"open {os.fspath(path)!s} for writing"
        elif event in CHANGES and self._outside(arguments[0]):
            return f"{CHANGES[event]} {os.fspath(arguments[0])!s}"
        elif event == "socket.__new__":
            return "open a socket"
        elif event in ("socket.connect", "socket.bind", "socket.sendto"):
            return f"{event.partition('.')[2]} to {arguments[1]}"
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            return f"look up {arguments[0]}"
        elif event in PROGRAMS:
            return f"start the program {str(arguments[0])[:120]}"
        elif event in PROCESSES:
            return "start a process"
        elif event == "pickle.find_class":
            return f"unpickle {arguments[0]}.{arguments[1]}"
        return ""

    def _outside(self, path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False
        try:
            place = os.path.abspath(os.fsdecode(path))
        except (TypeError, ValueError):
            return False
        return place != os.devnull and not place.startswith((self._allowed + os.sep, "/proc/self/"))
