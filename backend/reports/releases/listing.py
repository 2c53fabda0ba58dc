"""The manifest of a release: all that makes it the one it is, as plain data."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from backend.imaging.seg import tracking_uid
from backend.reading.evidence import LabelValue
from backend.reading.models import Consensus, Subject
from backend.reports.agreed import labels_that_hold
from backend.reports.history import stamp
from backend.reports.releases.models import Release
from backend.reports.releases.splitting import Person, Side, Split
from backend.version import RESEARCH_NOTICE, VERSION

SCHEMA = 1


def manifest_of(
    release: Release,
    consensuses: Iterable[Consensus],
    splits: Mapping[str, Split],
    at: datetime.datetime,
) -> dict[str, Any]:
    """What is frozen: every case by hashes of its images, its agreed mask and its signed record.

    Names nobody: subjects by pseudonym, and no reader.

    Args:
        release: whose.
        consensuses: what it lists, with case, subject, protocol and masks.
        splits: subject's key → split.
        at: the moment of freezing.
    """
    items = [_item(one, splits[one.case.subject.key]) for one in consensuses]
    return {
        "schema": SCHEMA,
        "release": str(release.pk),
        "name": release.name,
        "project": release.project.code,
        "frozen_at": stamp(at),
        "held_out_percent": release.held_out,
        "seed": str(release.pk),
        "software": f"Concord {VERSION}",
        "research_use": RESEARCH_NOTICE,
        "items": sorted(items, key=lambda item: str(item["case"])),
    }


def people_of(consensuses: Iterable[Consensus]) -> list[Person]:
    """The subjects of some consensuses, each once."""
    subjects: dict[str, Subject] = {}
    metastatic: Counter[str] = Counter()
    for one in consensuses:
        subject = one.case.subject
        subjects[subject.key] = subject
        metastatic[subject.key] += labels_of(one)[LabelValue.METASTATIC.value]
    return [
        Person(key, Side(subject.role) if subject.role else None, metastatic[key] > 0)
        for key, subject in subjects.items()
    ]


def labels_of(consensus: Consensus) -> Counter[str]:
    """How many of its nodes hold which label; nodes without one are not counted."""
    return Counter(newest_labels(consensus).values())


def newest_labels(consensus: Consensus) -> dict[UUID, str]:
    """Agreed node's id → the label that holds of it."""
    found = labels_that_hold(consensus.nodes.all())
    return {node: label.value for node, label in found.items()}


def _item(consensus: Consensus, split: Split) -> dict[str, Any]:
    case = consensus.case
    if consensus.mask is None:
        raise ValueError(f"{case.label}: what is published has its mask.")
    return {
        "case": case.label,
        "case_id": str(case.pk),
        "subject": case.subject.pseudonym,
        "split": split.value,
        "protocol": str(case.protocol),
        "series_uid": case.series_uid,
        "geometry_hash": case.geometry_hash,
        "consensus": str(consensus.pk),
        "version": consensus.version,
        "record": consensus.record_hash,
        "mask": consensus.mask.hash,
        "ignored": consensus.ignored.hash if consensus.ignored else None,
        "nodes": consensus.nodes.count(),
        "labels": dict(sorted(labels_of(consensus).items())),
        "exclusions": list(case.exclusions),
    }


def node_rows(release: Release) -> Iterator[dict[str, Any]]:
    """Every agreed node of a release: case, person, split, place, size in mm, label."""
    for item in release.items.select_related("case__subject", "consensus"):
        agreed = item.consensus.nodes.order_by("number")
        labels = newest_labels(item.consensus)
        for node in agreed:
            measures = node.measures
            yield {
                "case": item.case.label,
                "subject": item.case.subject.pseudonym,
                "split": item.split,
                "consensus_version": item.consensus.version,
                "node": node.number,
                "tracking_uid": tracking_uid(str(node.node_id)),
                "side": node.side,
                "level": node.level,
                "sad_mm": measures["sad_mm"],
                "lad_mm": measures["lad_mm"],
                "longest_any_plane_mm": measures["longest_any_plane_mm"],
                "volume_mm3": measures["volume_mm3"],
                "label": labels.get(node.pk, ""),
                "provenance": node.origin,
            }
