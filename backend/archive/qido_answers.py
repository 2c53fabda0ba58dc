"""Studies, series and instances as QIDO gives them (PS3.18 tables 10.6.3-3 to -5)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Func, JSONField, OuterRef, Subquery, Value

from backend.archive import identity
from backend.archive.access import Access
from backend.archive.matching import Included
from backend.archive.metadata import Metadata, rebased
from backend.archive.models import Instance, Series, Study

_UTF8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
_ONLINE = {"vr": "CS", "Value": ["ONLINE"]}

TIMEZONE = "00080201"
# What the columns do not have; every series answer names these where its images do: Timezone
# Offset From UTC, Performed Procedure Step Start Date and Time, Request Attributes Sequence.
_OF_SERIES = (TIMEZONE, "00400244", "00400245", "00400275")
# What else `includefield` may bring at the level of a study (group 0010 too) and of a series.
_STUDY_LEVEL = frozenset(
    re.findall(
        r"\w+",
        """
            00080201 00081032 00081048 00081060 00081080 00081110 00081120 00120010
            00120020 00120030 00120040 00120062 00321032 00321033 00321060 00321064
            00380010 00380014
        """,
    )
)
_SERIES_LEVEL = frozenset(
    re.findall(
        r"\w+",
        """
            00080008 00080064 00080070 00080080 00080081 00081010 0008103F 00081040
            00081050 00081070 00081090 00081111 00080201 00180010 00180020 00180022
            00180023 00180050 00180060 00180087 00181000 00181020 00181030 00181210
            00185100 00200060 00201040 00400244 00400245 00400250 00400251 00400253
            00400254 00400260 00400275 00541000 00541001 00541002
        """,
    )
)


class _Element(Func):
    """An element of DICOM JSON in a column."""

    function = "jsonb_extract_path"
    output_field = JSONField()


@dataclass(frozen=True)
class Answers:
    """What this asker is told.

    Attributes:
        access: for whom.
        root: the service's absolute address, with a slash at its end.
    """

    access: Access
    root: str

    def study(self, study: Study, members: list[tuple[str, int]]) -> Metadata:
        """A study; `members` are (modality, instances) of the series seen."""
        answer = {
            "00080005": _UTF8,
            "00080020": _value("DA", _date(study.date)),
            "00080030": _value("TM", study.time),
            "00080050": _value("SH", study.accession_number),
            "00080056": _ONLINE,
            "00080061": _value("CS", *sorted({modality for modality, _ in members if modality})),
            "00080090": _person(study.referring_physician),
            "00081030": _value("LO", study.description),
            "00081190": _value("UR", f"{self.root}studies/{study.uid}"),
            "00100010": _person(study.patient_name),
            "00100020": _value("LO", study.patient_id),
            "00100030": _value("DA", _date(study.patient_birth_date)),
            "00100040": _value("CS", study.patient_sex),
            "0020000D": _value("UI", study.uid),
            "00200010": _value("SH", study.study_id),
            "00201206": _value("IS", len(members)),
            "00201208": _value("IS", sum(count for _, count in members)),
        }
        return answer if self.access.sees_names else identity.unnamed(answer)

    def series(self, series: Series, count: int | None) -> Metadata:
        """A series, and of how many instances where that was counted."""
        study = series.study
        answer = {
            "00080005": _UTF8,
            "00080021": _value("DA", _date(series.date)),
            "00080031": _value("TM", series.time),
            "00080056": _ONLINE,
            "00080060": _value("CS", series.modality),
            "0008103E": _value("LO", series.description),
            "00081190": _value("UR", f"{self.root}studies/{study.uid}/series/{series.uid}"),
            "00180015": _value("CS", series.body_part),
            "0020000D": _value("UI", study.uid),
            "0020000E": _value("UI", series.uid),
            "00200011": _value("IS", series.number),
            "00200052": _value("UI", series.frame_of_reference_uid),
        }
        if count is not None:
            answer["00201209"] = _value("IS", count)
        return answer

    def instance(self, row: dict[str, Any], series: Series, fields: Included) -> Metadata:
        """An instance, with the fields asked for."""
        study, sop = series.study.uid, row["sop_uid"]
        address = f"{self.root}studies/{study}/series/{series.uid}/instances/{sop}"
        answer = {
            "00080005": _UTF8,
            "00080016": {"vr": "UI", "Value": [row["sop_class_uid"]]},
            "00080018": {"vr": "UI", "Value": [sop]},
            "00080056": _ONLINE,
            "00081190": {"vr": "UR", "Value": [address]},
            "00083002": {"vr": "UI", "Value": [row["transfer_syntax"]]},
            "0020000D": {"vr": "UI", "Value": [study]},
            "0020000E": {"vr": "UI", "Value": [series.uid]},
            "00200013": _value("IS", row["number"]),
        }
        if row["rows"]:
            answer["00280010"] = {"vr": "US", "Value": [row["rows"]]}
        if row["columns"]:
            answer["00280011"] = {"vr": "US", "Value": [row["columns"]]}
        if bits := row["pixels__bits_allocated"]:
            answer["00280100"] = {"vr": "US", "Value": [bits]}
        if row["frames"] > 1:
            answer["00280008"] = {"vr": "IS", "Value": [row["frames"]]}
        if not fields:
            return answer
        metadata: Metadata = row["metadata"]
        wanted = {
            tag: value
            for tag, value in metadata.items()
            if fields.wants(tag) and "BulkDataURI" not in value
        }
        return {**rebased(self._shown(wanted), f"{address}/"), **answer}

    def members(self, page: Collection[Study]) -> dict[Any, list[tuple[str, int]]]:
        """(modality, instances) of each visible series, by study: nothing else is counted."""
        members: dict[Any, list[tuple[str, int]]] = defaultdict(list)
        seen = Series.objects.filter(study__in=page)
        if not self.access.sees_everything:
            seen = seen.filter(pk__in=self.access.series.filter(study__in=page).values("pk"))
        counted = seen.annotate(n=Count("instances"))
        for study, modality, count in counted.values_list("study", "modality", "n"):
            members[study].append((modality, count))
        return members

    def more_of_series(self, page: Sequence[Series], fields: Included) -> dict[UUID, Metadata]:
        """What one image of each series says beyond the columns, by series."""
        if fields.everything:
            tags = None
        else:
            tags = {*_OF_SERIES, *(t for t in fields.tags if _is_of_study(t) or t in _SERIES_LEVEL)}
        found = self._of_first([s.pk for s in page], tags)
        return {pk: _at_level(row, series=True) for pk, row in found.items()}

    def more_of_studies(self, page: Sequence[Study], fields: Included) -> dict[UUID, Metadata]:
        """What one image of each study says that was asked for beyond the columns, by study."""
        tags = None if fields.everything else {t for t in fields.tags if _is_of_study(t)}
        if tags is not None and not tags:
            return {}
        seen = self.access.series.filter(study__in=[s.pk for s in page])
        first: dict[Any, Any] = {}
        for study, series in seen.order_by("number", "uid").values_list("study", "pk"):
            first.setdefault(study, series)
        found = self._of_first(list(first.values()), tags)
        return {
            study: _at_level(found[series], series=False)
            for study, series in first.items()
            if series in found
        }

    def _of_first(self, series: list[UUID], tags: set[str] | None) -> dict[UUID, Metadata]:
        """Elements (None: all) of one image of each series, by series."""
        images = Instance.objects.filter(series=OuterRef("pk")).order_by("number", "sop_uid")
        firsts = Series.objects.filter(pk__in=series).annotate(
            first=Subquery(images.values("pk")[:1])
        )
        rows = Instance.objects.filter(pk__in=list(firsts.values_list("first", flat=True)))
        if tags is None:
            whole = rows.values_list("series", "metadata")
            return {pk: self._shown(metadata) for pk, metadata in whole}
        wanted = {f"element_{tag}": _Element("metadata", Value(tag)) for tag in sorted(tags)}
        found: dict[UUID, Metadata] = {}
        for row in rows.annotate(**wanted).values("series", *wanted):
            given = {tag: row[f"element_{tag}"] for tag in sorted(tags)}
            found[row["series"]] = self._shown({t: v for t, v in given.items() if v is not None})
        return found

    def _shown(self, metadata: Metadata) -> Metadata:
        return metadata if self.access.sees_names else identity.unnamed(metadata)


def _is_of_study(tag: str) -> bool:
    return tag in _STUDY_LEVEL or tag.startswith("0010")


def _at_level(metadata: Metadata, *, series: bool) -> Metadata:
    """What belongs to a study or a series, of what an image says."""
    return {
        tag: value
        for tag, value in metadata.items()
        if (_is_of_study(tag) or (series and tag in _SERIES_LEVEL)) and "BulkDataURI" not in value
    }


def _value(vr: str, *values: Any) -> dict[str, Any]:
    given = [v for v in values if v not in ("", None)]
    return {"vr": vr, "Value": given} if given else {"vr": vr}


def _person(name: str) -> dict[str, Any]:
    groups = ("Alphabetic", "Ideographic", "Phonetic")
    parts = {g: p for g, p in zip(groups, name.split("="), strict=False) if p}
    return {"vr": "PN", "Value": [parts]} if parts else {"vr": "PN"}


def _date(day: Any) -> str:
    return "" if day is None else f"{day:%Y%m%d}"
