"""Which runs the page of runs lists: by state, kind and model, as its address says."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from backend.jobs.models import LIVE_STATES, ModelVersion, Run
from backend.jobs.protocol import RunKind, RunState

# What a person looks for → the states that are meant.
STATES: dict[str, list[str]] = {
    "waiting": [RunState.QUEUED.value],
    "at work": LIVE_STATES,
    "succeeded": [RunState.SUCCEEDED.value],
    "given up": [RunState.DEAD.value],
    "cancelled": [RunState.CANCELLED.value],
}
KINDS = {
    RunKind.PRESEGMENT.value: "pre-segmentation",
    RunKind.TRIAL.value: "trial",
    RunKind.TRAIN.value: "training",
    RunKind.PROMPT.value: "click",
}


@dataclass(frozen=True)
class RunFilters:
    """What is asked for; what is not understood asks for nothing."""

    state: str = ""
    kind: str = ""
    model: uuid.UUID | None = None

    @classmethod
    def of(cls, asked: Mapping[str, Any]) -> RunFilters:
        """From the address."""
        state, kind = str(asked.get("state", "")), str(asked.get("kind", ""))
        try:
            model = uuid.UUID(str(asked.get("model", "")))
        except ValueError:
            model = None
        return cls(state if state in STATES else "", kind if kind in KINDS else "", model)

    @property
    def any(self) -> bool:
        """Whether anything is left out."""
        return bool(self.state or self.kind or self.model)

    def on(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        """These runs, without what was not asked for; clicks only where they are asked for."""
        if self.state:
            runs = runs.filter(state__in=STATES[self.state])
        if self.model:
            runs = runs.filter(model=self.model)
        return runs.filter(kind=self.kind) if self.kind else runs.exclude(kind=RunKind.PROMPT)

    def choices(self) -> list[dict[str, Any]]:
        """The page's three lists, with what is chosen."""
        models = {str(model.pk): str(model) for model in ModelVersion.objects.all()}
        lists = (
            ("state", "State", {name: name for name in STATES}, self.state),
            ("kind", "Kind", KINDS, self.kind),
            ("model", "Model", models, str(self.model or "")),
        )
        return [
            {"name": name, "title": title, "options": list(options.items()), "chosen": chosen}
            for name, title, options, chosen in lists
        ]
