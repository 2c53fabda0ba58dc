"""Where rooms above say what they want to know of runs. Filled in their `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db.models import Q

if TYPE_CHECKING:
    from backend.accounts.models import User
    from backend.jobs.models import Run

OnRunChanged: TypeAlias = "Callable[[Run, str, dict[str, Any]], None]"

# Called as `(run, what, payload)` inside the transaction that changed the run. `what` is one of:
# queued {message, attempt} · leased {attempt, worker} · progress {stage, fraction, progress} ·
# metrics {…} · succeeded {attempt, mask, nodes} · failed {message, attempt} (it is queued again) ·
# dead {message} · cancelled {}.
on_run_changed: list[OnRunChanged] = []

# Which runs a user may look at, and which they may cancel and retry, as conditions on Run. With
# nothing registered only an admin sees any; an empty Q() names none.
runs_seen_by: list[Callable[[User], Q]] = []
runs_managed_by: list[Callable[[User], Q]] = []
# Who may open the pages of runs and models; they list the runs that person may look at.
opens_runs_page: list[Callable[[User], bool]] = []

# Called every second by `manage.py work`, each in a thread of its own.
every_second: list[Callable[[], object]] = []


def run_changed(run: Run, what: str, payload: dict[str, Any]) -> None:
    """Tell everyone who registered."""
    for listener in on_run_changed:
        listener(run, what, payload)
