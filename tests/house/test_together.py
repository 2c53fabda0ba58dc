"""Several threads' work in one turn: everyone is answered, and hears only of their own fault."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from backend.together import Together
from tests.stack import until


class Desk:
    """Work that the test holds up, so that others come meanwhile."""

    def __init__(self) -> None:
        self.turns: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def work(self, asked: Sequence[int]) -> list[int]:
        """Doubles what is asked; 13 is a fault, 99 ends the thread."""
        self.turns.append(list(asked))
        self.begun.set()
        assert self.go.wait(10)
        if 13 in asked:
            raise ValueError(f"thirteen among {len(asked)}")
        if 99 in asked:
            raise SystemExit
        return [2 * one for one in asked]


def waiting(together: Together[int, int]) -> int:
    return len(together._waiting)


def asked_meanwhile(desk: Desk, numbers: Sequence[int], at_most: int = 8) -> list[object]:
    """What each thread is answered: the first has its turn while all others come."""
    together = Together(desk.work, at_most=at_most)
    found: list[object] = []

    def ask(number: int) -> object:
        try:
            return together.do(number)
        except (ValueError, SystemExit) as error:
            return error

    with ThreadPoolExecutor(len(numbers)) as threads:
        first = threads.submit(ask, numbers[0])
        assert desk.begun.wait(10)
        others = []
        for number in numbers[1:]:
            others.append(threads.submit(ask, number))
            until(lambda: waiting(together) == len(others), "another one in the line", 10)
        desk.go.set()
        found = [one.result(10) for one in (first, *others)]
    assert waiting(together) == 0
    return found


def test_who_comes_during_a_turn_shares_the_next_one() -> None:
    desk = Desk()
    assert asked_meanwhile(desk, [1, 2, 3, 4]) == [2, 4, 6, 8]
    assert desk.turns == [[1], [2, 3, 4]]


def test_a_turn_takes_no_more_than_it_may_and_nobody_is_left() -> None:
    desk = Desk()
    assert asked_meanwhile(desk, range(10), at_most=4) == [2 * n for n in range(10)]
    assert desk.turns == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9]]


def test_a_fault_is_told_to_its_own_thread_alone() -> None:
    desk = Desk()
    two, four, thirteen, five = asked_meanwhile(desk, [2, 4, 13, 5])
    assert (two, four, five) == (4, 8, 10)
    assert isinstance(thirteen, ValueError)
    assert str(thirteen) == "thirteen among 1"
    assert desk.turns == [[2], [4, 13, 5], [4], [13], [5]]


def test_a_thread_that_is_to_end_in_its_turn_keeps_nobody_waiting() -> None:
    desk = Desk()
    one, ended, too = asked_meanwhile(desk, [1, 99, 3])
    assert one == 2
    assert isinstance(ended, SystemExit)
    assert isinstance(too, SystemExit)


def test_one_thread_alone_is_answered_at_once() -> None:
    desk = Desk()
    desk.go.set()
    together = Together(desk.work, at_most=1)
    assert [together.do(n) for n in (1, 2)] == [2, 4]
    with pytest.raises(ValueError, match="thirteen among 1"):
        together.do(13)
