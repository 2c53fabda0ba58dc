"""Phantoms made in as many processes as there are cores, in turn with what is measured on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

MOST_AT_ONCE = 8
"""A phantom takes about a gigabyte while it is made."""

Made = TypeVar("Made")


def side_by_side(make: Callable[[int], Made], seeds: Sequence[int]) -> Iterator[Made]:
    """Yield ``make(seed)`` of every seed, in their order, a batch at a time.

    Nothing is made while the caller looks at a batch: the times it takes are its own. ``make`` and
    what it returns must be picklable.
    """
    at_once = min(os.cpu_count() or 1, MOST_AT_ONCE, len(seeds))
    if at_once < 2:
        yield from map(make, seeds)
        return
    # Not forked: a network's threads in this process would be copied half.
    with ProcessPoolExecutor(at_once, get_context("spawn")) as processes:
        for first in range(0, len(seeds), at_once):
            yield from list(processes.map(make, seeds[first : first + at_once]))
