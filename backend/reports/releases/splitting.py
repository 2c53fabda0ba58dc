"""Which person of a release is trained on, and who is held out for life. Pure.

A person, with all their studies, is on one side. Whoever was once held out stays held out, in every
later release; whoever was once open to development never becomes a test. People not yet on a side
are drawn by a hash of their key and the release's seed, apart for people with and without a
metastatic node, so that anybody can draw again and gets the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

VALIDATION_SHARE = 0.2
"""Of the people open to development, the share a training watches itself on."""


class Side(StrEnum):
    """The lifelong side of a person."""

    DEVELOPMENT = "development"
    LOCKED_TEST = "locked_test"


class Split(StrEnum):
    """What a case of a release is for."""

    TRAIN = "train"
    VALIDATION = "validation"
    LOCKED_TEST = "locked_test"


@dataclass(frozen=True)
class Person:
    """One subject of a release.

    Attributes:
        key: what the draw hashes; the same for the same person for ever.
        side: where they stand since an earlier release; None for whoever is new.
        metastatic: whether any of their agreed nodes is labelled metastatic.
    """

    key: str
    side: Side | None
    metastatic: bool


def split_of(people: Iterable[Person], *, seed: str, held_out: float) -> dict[str, Split]:
    """Key → split of every person.

    Args:
        people: everyone in the release, each once.
        seed: of the draw; kept in the manifest.
        held_out: share of the people to hold out, 0…0.9. Those held out before count; where they
            are more already, nobody is added.

    Raises:
        ValueError: the share is out of range, or a person is named twice.
    """
    if not 0 <= held_out <= 0.9:
        raise ValueError(f"A share of {held_out} cannot be held out; choose 0 to 0.9.")
    known = sorted(people, key=lambda one: _draw(one.key, seed))
    if len({one.key for one in known}) != len(known):
        raise ValueError("A person is named twice. Name each once, with all their studies.")
    found: dict[str, Split] = {}
    for stratum in (True, False):
        some = [one for one in known if one.metastatic is stratum]
        locked = [one for one in some if one.side is Side.LOCKED_TEST]
        new = [one for one in some if one.side is None]
        more = max(0, _share(len(some), held_out) - len(locked))
        locked += new[:more]
        found |= {one.key: Split.LOCKED_TEST for one in locked}
        open_ones = [one for one in some if one.key not in found]
        watched = open_ones[: _share(len(open_ones), VALIDATION_SHARE)]
        found |= {one.key: Split.TRAIN for one in open_ones}
        found |= {one.key: Split.VALIDATION for one in watched}
    return found


def _draw(key: str, seed: str) -> str:
    return hashlib.sha256(f"{seed}|{key}".encode()).hexdigest()


def _share(count: int, share: float) -> int:
    """The nearest whole number of people, halves upward."""
    return int(count * share + 0.5)
