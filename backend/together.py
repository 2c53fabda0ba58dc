"""Work that several threads ask for at the same time, done by one of them for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class _Place(Generic[Asked, Answer]):
    """One thread's place in the line: what it asks for, later what came of it."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.done = False
        self.answers: list[Answer] = []
        self.error: BaseException | None = None


class Together(Generic[Asked, Answer]):
    """One turn after the other: whoever comes while it is another's turn shares the next one.

    A turn is work that costs nearly the same for several as for one, such as a transaction. The
    thread whose turn it is works for everyone who waits; nobody waits for company to come.

    Args:
        work: gives an answer for each thing asked, in their order. Where it raises for several,
            nothing of it may have happened: then it is asked for each alone, so that everyone
            hears only of their own fault.
        at_most: so many are worked for in one turn.
    """

    def __init__(
        self, work: Callable[[Sequence[Asked]], Sequence[Answer]], *, at_most: int
    ) -> None:
        self._work, self._at_most = work, at_most
        self._turn, self._line = threading.Lock(), threading.Lock()
        self._waiting: list[_Place[Asked, Answer]] = []

    def do(self, asked: Asked) -> Answer:
        """The answer for one thing, be it worked out here or by another thread; raises its error.

        Must not be called by a thread that holds what `work` may have to wait for (rows locked in
        a transaction, say).
        """
        mine: _Place[Asked, Answer] = _Place(asked)
        with self._line:
            self._waiting.append(mine)
        with self._turn:
            while not mine.done:  # Who came first is worked for first; so this ends.
                with self._line:
                    some = self._waiting[: self._at_most]
                    del self._waiting[: self._at_most]
                self._serve(some)
        if mine.error is not None:
            raise mine.error
        return mine.answers[0]

    def _serve(self, some: Sequence[_Place[Asked, Answer]]) -> None:
        try:
            answers = self._work([one.asked for one in some])
        except Exception as error:  # noqa: BLE001  told to whoever asked
            if len(some) == 1:
                some[0].error = error
            else:
                for one in some:
                    self._serve([one])
        except BaseException as error:  # This thread is to end; the others must not wait for it.
            for one in some:
                one.error = error
            raise
        else:
            for one, answer in zip(some, answers, strict=True):
                one.answers.append(answer)
        finally:
            for one in some:
                one.done = True
