"""Masks as immutable versions, the slices each brought, and the nodes in them."""

from __future__ import annotations

import uuid
from functools import cached_property

from django.conf import settings
from django.db import models

from backend.imaging.masks import Manifest
from backend.lasting import Lasting
from backend.reading.models.cases import Case
from backend.reading.vocabulary import AuthorKind, Decision, MaskKind, Origin, Reason

# By their hash. A reading that is being drawn in needs two of them with every stroke.
manifests: Lasting[str, Manifest] = Lasting(at_most=128)


class Mask(models.Model):
    """One version of a label map: a manifest, its hash, and who made it. Write-once.

    Two readers who do the same to the same proposal make manifests of the same hash; each has a
    row of their own, so that who may see a mask never depends on what someone else did. A mask
    with a `reading` is that reading's own; one without belongs to the case.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    hash = models.CharField(max_length=64, db_index=True)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="masks")
    reading = models.ForeignKey(
        "reading.Reading", null=True, blank=True, on_delete=models.PROTECT, related_name="masks"
    )
    kind = models.CharField(max_length=16, choices=MaskKind)
    author_kind = models.CharField(max_length=16, choices=AuthorKind)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
    )
    run_id = models.UUIDField(null=True, blank=True)
    manifest_json = models.JSONField()
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["reading", "hash"],
                condition=models.Q(reading__isnull=False),
                name="one_version_per_reading_and_hash",
            ),
            models.UniqueConstraint(
                fields=["case", "hash", "run_id"],
                condition=models.Q(reading__isnull=True),
                nulls_distinct=False,
                name="one_version_per_case_and_hash",
            ),
            models.CheckConstraint(
                condition=models.Q(author_kind=AuthorKind.PERSON.value)
                ^ models.Q(author__isnull=True),
                name="a_person_is_named",
            ),
            models.CheckConstraint(
                condition=models.Q(author_kind=AuthorKind.MODEL.value)
                ^ models.Q(run_id__isnull=True),
                name="a_model_names_its_run",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=[MaskKind.READING.value, MaskKind.EFFECTIVE.value])
                ^ models.Q(reading__isnull=True),
                name="a_reading_owns_its_versions",
            ),
        )

    def __str__(self) -> str:
        return self.hash

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest; its `hash` is this mask's."""
        return manifests.of(self.hash, self._read_manifest)

    def _read_manifest(self) -> Manifest:
        value = self.manifest_json
        return Manifest(
            geometry_hash=value["geometry"],
            slices={int(index): digest for index, digest in value["slices"]},
            labels={int(number): node for number, node in value["labels"]},
            parents=tuple(value["parents"]),
        )


class MaskSlice(models.Model):
    """A slice in which a mask differs from its first parent. `blob` is "" where it became empty.

    Kept so that a slice can be asked for by its hash by exactly those who may see a mask it is in.
    """

    mask = models.ForeignKey(Mask, on_delete=models.PROTECT, related_name="own_slices")
    index = models.PositiveIntegerField()
    blob = models.CharField(max_length=64, blank=True, db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["mask", "index"], name="one_blob_per_slice"),
        )

    def __str__(self) -> str:
        return f"{self.mask_id}[{self.index}]"


class Node(models.Model):
    """One lesion. Its UUID is its DICOM Tracking UID too, and survives every edit.

    Minted by the mask that first held it: a run's nodes belong to the case, a reader's to their
    reading; one that a consensus had to tell apart from its namesake names neither. `box` is its
    bounding box in that mask, ``[z0, y0, x0, z1, y1, x1]``, half-open.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="nodes")
    first_mask = models.ForeignKey(Mask, on_delete=models.PROTECT, related_name="first_nodes")
    origin = models.CharField(max_length=8, choices=Origin)
    run_id = models.UUIDField(null=True, blank=True)
    reading = models.ForeignKey(
        "reading.Reading", null=True, blank=True, on_delete=models.PROTECT, related_name="own_nodes"
    )
    box = models.JSONField(null=True, blank=True)
    score = models.FloatField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(run_id__isnull=True) | models.Q(reading__isnull=True),
                name="a_node_comes_from_one_place",
            ),
        )

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def tracking_uid(self) -> str:
        """The DICOM Tracking UID."""
        return f"2.25.{self.pk.int}"


class NodeVersion(models.Model):
    """What a node measured and what was decided on it at one mask. Write-once.

    `reading` and `change` are null for what the AI offered; `measures` is null where the node had
    no voxel left. `parents` are the nodes it was split from or that were merged into it;
    `merged_into` is the node that took all its voxels.
    """

    node = models.ForeignKey(Node, on_delete=models.PROTECT, related_name="versions")
    mask = models.ForeignKey(Mask, on_delete=models.PROTECT, related_name="node_versions")
    reading = models.ForeignKey(
        "reading.Reading",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="node_versions",
    )
    change = models.ForeignKey(
        "reading.Change",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="node_versions",
    )
    label = models.PositiveIntegerField()
    measures = models.JSONField(null=True, blank=True)
    decision = models.CharField(max_length=16, choices=Decision, default=Decision.UNDECIDED)
    reason = models.CharField(max_length=16, choices=Reason, default="", blank=True)
    impression = models.CharField(max_length=16, default="", blank=True)
    confidence = models.PositiveSmallIntegerField(null=True, blank=True)
    doubt = models.BooleanField(default=False)
    parents = models.JSONField(default=list, blank=True)
    merged_into = models.UUIDField(null=True, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint(fields=["node", "mask"], name="one_node_version_per_mask"),
        )

    def __str__(self) -> str:
        return f"{self.node_id}@{self.mask_id}"
