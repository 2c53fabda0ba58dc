"""Where rooms above say what they want to know of runs. Filled in their `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from django.db.models import Q

if TYPE_CHECKING:
    from django.http import HttpRequest

    from backend.accounts.models import User
    from backend.imaging.grid import Grid
    from backend.imaging.masks import PackedMask
    from backend.jobs.models import ModelVersion, Run

OnRunChanged: TypeAlias = "Callable[[Run, str, dict[str, Any]], None]"

# Called as `(run, what, payload)` inside the transaction that changed the run. `what` is one of:
# queued {message, attempt} · leased {attempt, worker} · progress {stage, fraction, progress} ·
# metrics {…} · succeeded {attempt, mask, nodes} · failed {message, attempt} (it is queued again) ·
# dead {message} · cancelled {} · point {…} (of a training's curves).
on_run_changed: list[OnRunChanged] = []

# Called as `(run, name, mask)` when a worker put a mask that passed every check, `name` being that
# of its bytes in the store: outside of any transaction, and before the mask is announced, so that
# what takes long is done by then. It may never be announced, and by another process than this.
on_mask_put: list[Callable[[Run, str, PackedMask], None]] = []

# Which runs a user may look at, and which they may cancel and retry, as conditions on Run. With
# nothing registered only an admin sees any; an empty Q() names none.
runs_seen_by: list[Callable[[User], Q]] = []
runs_managed_by: list[Callable[[User], Q]] = []
# Who may open the pages of runs and models; they list the runs that person may look at.
opens_runs_page: list[Callable[[User], bool]] = []

# Who may have a model's files verified, beside administrators.
manages_models: list[Callable[[User], bool]] = []
# Which protocols' default a model is, in words; one that is some protocol's is not retired.
default_of: list[Callable[[ModelVersion], list[str]]] = []
# What rooms above put on a model's page and above the list of models: HTML.
model_panels: list[Callable[[HttpRequest, ModelVersion], str]] = []
models_panels: list[Callable[[HttpRequest], str]] = []
# Which series a run opens to its worker beside its own, by their ids.
series_opened: list[Callable[[Run], Iterable[UUID]]] = []
# The grid of a series, by its id; None from who does not keep it.
series_grids: list[Callable[[UUID], Grid | None]] = []
# What rooms above put on a run's page: HTML.
run_panels: list[Callable[[HttpRequest, Run], str]] = []

# Called every second by `manage.py work`, each in a thread of its own.
every_second: list[Callable[[], object]] = []


def run_changed(run: Run, what: str, payload: dict[str, Any]) -> None:
    """Tell everyone who registered."""
    for listener in on_run_changed:
        listener(run, what, payload)


def grid_of(run: Run) -> Grid | None:
    """The grid of a run's series, where a room above keeps it."""
    return next((grid for ask in series_grids if (grid := ask(run.series_id)) is not None), None)
