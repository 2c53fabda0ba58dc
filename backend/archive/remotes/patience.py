"""Trying again: after longer and longer pauses, and not for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings

from backend.archive.remotes.line import Line
from backend.archive.remotes.problems import RemoteProblem

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


def patiently(line: Line, ask: Callable[[], T]) -> T:
    """The answer; asked again where the problem may pass. Raises the last `RemoteProblem`."""
    failures = 0
    while True:
        try:
            return ask()
        except RemoteProblem as problem:
            failures += 1
            bear(line, problem, failures)


def bear(line: Line, problem: RemoteProblem, failures: int) -> None:
    """Wait before the next try; raises the problem where it will not pass, or not any more.

    Args:
        line: which waits, and can be stopped while it does.
        problem: the newest.
        failures: how many there were in a row, this one included.
    """
    if not problem.passing or failures >= settings.REMOTE_TRIES:
        raise problem
    logger.warning("%s Trying again.", problem.message)
    line.wait(min(FIRST_PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE_SECONDS))
