"""A progress bar for commands: one line on a terminal, a line for every tenth part elsewhere."""

from __future__ import annotations

from django.core.management.base import OutputWrapper

WIDTH = 30
_LABEL = 40


class Bar:
    """Draws on a command's stderr."""

    def __init__(self, stream: OutputWrapper) -> None:
        self.stream = stream
        self._tenths = -1
        self._drawn = False

    def show(self, done: int, total: int, label: str = "") -> None:
        """So much of it is done, and this is what is at hand."""
        whole = max(total, done, 1)
        filled = WIDTH * done // whole
        line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{whole}"
        if self.stream.isatty():
            self.stream.write(f"\r{line} {label[-_LABEL:]:{_LABEL}}", ending="")
            self._drawn = True
        elif done == whole or done * 10 // whole > self._tenths:
            self._tenths = done * 10 // whole
            self.stream.write(line)

    def end(self) -> None:
        """Leave the line that was drawn."""
        if self._drawn:
            self.stream.write("")
            self._drawn = False
