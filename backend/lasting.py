"""Values that never change, kept in memory by the name that stands for them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lasting(Generic[K, V]):
    """The values that were asked for last, at most so many; threads may share it.

    Only for what a name stands for for ever: nothing is ever looked up again.
    """

    def __init__(self, *, at_most: int) -> None:
        self._at_most = at_most
        self._held: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, name: K, make: Callable[[], V]) -> V:
        """The value of a name; made where it is not held."""
        with self._lock:
            if name in self._held:
                self._held.move_to_end(name)
                return self._held[name]
        value = make()
        self.keep(name, value)
        return value

    def keep(self, name: K, value: V) -> None:
        """Hold a value that was made elsewhere."""
        with self._lock:
            self._held[name] = value
            self._held.move_to_end(name)
            while len(self._held) > self._at_most:
                self._held.popitem(last=False)
