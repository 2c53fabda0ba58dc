"""What upper rooms ask to be told. Filled in their `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.accounts.models import User
    from backend.archive.models import Series

# Called in the transaction in which a series became a volume (again, if images came and it was
# not bound before). A hook that raises undoes the judgement, which is then tried again.
on_series_ready: list[Callable[[Series], object]] = []

# Where a person goes from a series that came: (words, address) of each place they may open.
where_next: list[Callable[[User, Series], list[tuple[str, str]]]] = []
