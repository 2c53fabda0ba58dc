"""Subjects and cases: whose images they are, and what is read of them."""

from __future__ import annotations

import uuid
from functools import cached_property

from django.db import models

from backend.imaging.grid import Grid
from backend.lasting import Lasting
from backend.reading.models.projects import Project, Protocol
from backend.reading.vocabulary import AiState
from backend.reading.workflow import CaseStage

# By the case's id: a case's grid never changes.
grids: Lasting[uuid.UUID, Grid] = Lasting(at_most=64)


class Subject(models.Model):
    """One person of one project, across studies, under a pseudonym.

    `key` is a keyed hash of the patient's identity in the archive: it recognises a person who
    comes again and names nobody. `role` is the side of every release they are on, for life:
    `development` or `locked_test`; "" until a release first lists them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="subjects")
    key = models.CharField(max_length=64)
    pseudonym = models.CharField(max_length=32)
    role = models.CharField(max_length=12, blank=True, default="")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(role__in=["", "development", "locked_test"]),
                name="role_of_a_subject_is_known",
            ),
            models.UniqueConstraint(fields=["project", "key"], name="one_subject_per_person"),
            models.UniqueConstraint(fields=["project", "pseudonym"], name="one_pseudonym_once"),
        )

    def __str__(self) -> str:
        return self.pseudonym


class Case(models.Model):
    """One series of a subject, read under one version of a protocol.

    The series is named by its ids (the archive is another room); its grid is kept here, because a
    case's grid never changes. `stage` is a cache of `workflow.case_stage`, written by services.

    A case that nobody had begun to read may give way to one of another series of its study
    (`superseded_by`). `midline` is `imaging.midline.Midline.to_json`, null where the images show
    none. `choice_reason` is why a coordinator chose this series; "" where the
    protocol's rule did. `offered_series_id` is a series that came later and fits better.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="cases")
    protocol = models.ForeignKey(Protocol, on_delete=models.PROTECT, related_name="cases")
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="cases")
    number = models.PositiveIntegerField()
    label = models.CharField(max_length=32)
    series_id = models.UUIDField(db_index=True)
    series_uid = models.CharField(max_length=64)
    study_uid = models.CharField(max_length=64)
    study_date = models.DateField(null=True, blank=True)
    geometry_hash = models.CharField(max_length=64)
    grid_json = models.JSONField()
    midline = models.JSONField(null=True, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    exclusions = models.JSONField(default=list, blank=True)
    stage = models.CharField(
        max_length=16,
        choices=[(s.value, s.value) for s in CaseStage],
        default=CaseStage.UNASSIGNED.value,
    )
    ai_state = models.CharField(max_length=16, choices=AiState, default=AiState.NONE)
    ai_message = models.TextField(default="", blank=True)
    ai_run_id = models.UUIDField(null=True, blank=True)
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="supersedes"
    )
    choice_reason = models.TextField(default="", blank=True)
    offered_series_id = models.UUIDField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("label",)
        constraints = (
            models.UniqueConstraint(
                fields=["project", "series_id"],
                condition=models.Q(superseded_by__isnull=True),
                name="one_case_per_series",
            ),
            models.UniqueConstraint(fields=["project", "label"], name="one_case_per_label"),
            models.CheckConstraint(
                condition=models.Q(ai_state__in=AiState.values), name="ai_state_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(stage__in=[s.value for s in CaseStage]), name="stage_is_known"
            ),
        )

    def __str__(self) -> str:
        return self.label

    @cached_property
    def grid(self) -> Grid:
        """The grid of the case's images, ``(slices, rows, columns)``."""
        return grids.of(self.pk, lambda: Grid.from_json(self.grid_json))

    @property
    def chain(self) -> str:
        """The audit chain everything of this case is recorded on."""
        return f"case:{self.pk}"
