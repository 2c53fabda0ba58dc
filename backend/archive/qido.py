"""QIDO-RS: what studies, series and instances there are, for this asker."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, TypeVar

from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse

from backend.archive import identity
from backend.archive.accept import json_type
from backend.archive.access import Access, dicomweb
from backend.archive.matching import (
    INSTANCE_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    Matched,
    conditions,
    included,
    page_of,
)
from backend.archive.metadata import Metadata
from backend.archive.models import Instance, Series, Study
from backend.archive.stow import store_request as stow

M = TypeVar("M", bound=Model)

_UTF8 = {"vr": "CS", "Value": ["ISO_IR 192"]}
_ONLINE = {"vr": "CS", "Value": ["ONLINE"]}
_INSTANCE_COLUMNS = (
    "series_id",
    "sop_uid",
    "sop_class_uid",
    "number",
    "transfer_syntax",
    "rows",
    "columns",
    "frames",
    "pixels__bits_allocated",
)


@dicomweb("GET", "POST")
def studies(request: HttpRequest, access: Access) -> HttpResponse:
    """`GET /studies?…`, and STOW at the same address."""
    if request.method == "POST":
        return stow(request, access, None)
    kind = json_type(request)
    matched = conditions(request.GET, {"": STUDY_KEYS}, sees_names=access.sees_names)
    series = access.series
    if modalities := _modalities(request):
        series = series.filter(modality__in=modalities)
    found = Study.objects.filter(matched.condition, pk__in=series.values("study"))
    page = list(_page(request, found.order_by("-date", "uid")))
    members = _members(access, page)
    answer = [study_json(request, access, s, members[s.pk]) for s in page]
    return _answer(answer, matched, kind)


@dicomweb("GET")
def series(request: HttpRequest, access: Access, study: str | None = None) -> HttpResponse:
    """`GET /series?…` and `GET /studies/{study}/series?…`."""
    kind = json_type(request)
    levels = {"": SERIES_KEYS, **({} if study else {"study__": STUDY_KEYS})}
    matched = conditions(request.GET, levels, sees_names=access.sees_names)
    found = access.series.filter(matched.condition)
    if study is not None:
        found = found.filter(study=access.one_study(study))
    found = found.select_related("study").order_by("study__uid", "number", "uid")
    page = list(_page(request, found))
    counted = Series.objects.filter(pk__in=[s.pk for s in page]).annotate(n=Count("instances"))
    counts = dict(counted.values_list("pk", "n"))
    members = {} if study else _members(access, [s.study for s in page])
    answer = []
    for one in page:
        own = series_json(request, access, one, counts[one.pk])
        above = {} if study else study_json(request, access, one.study, members[one.study_id])
        answer.append({**above, **own})
    return _answer(answer, matched, kind)


@dicomweb("GET")
def instances(
    request: HttpRequest, access: Access, study: str | None = None, series: str | None = None
) -> HttpResponse:
    """`GET /instances?…`, `…/studies/{study}/instances`, `…/series/{series}/instances`."""
    kind = json_type(request)
    levels = {
        "": INSTANCE_KEYS,
        **({} if series else {"series__": SERIES_KEYS}),
        **({} if study else {"series__study__": STUDY_KEYS}),
    }
    matched = conditions(request.GET, levels, sees_names=access.sees_names)
    found = Instance.objects.filter(matched.condition)
    if study is not None and series is not None:
        found = found.filter(series=access.one_series(study, series))
    elif study is not None:
        found = found.filter(series__in=access.series.filter(study=access.one_study(study)))
    else:
        found = found.filter(series__in=access.series)
    fields = included(request.GET)
    found = found.order_by(
        "series__study__uid", "series__number", "series__uid", "number", "sop_uid"
    )
    columns = [*_INSTANCE_COLUMNS, *([] if fields == set() else ["metadata"])]
    rows = list(_page(request, found).values(*columns))
    parents = Series.objects.select_related("study").in_bulk({row["series_id"] for row in rows})
    above = {pk: series_json(request, access, one, None) for pk, one in parents.items()}
    root = _address(request, access, "")
    answer = []
    for row in rows:
        own = _instance_json(row, parents[row["series_id"]], root, access, fields)
        answer.append(own if series else {**above[row["series_id"]], **own})
    return _answer(answer, matched, kind)


def study_json(
    request: HttpRequest, access: Access, study: Study, members: list[tuple[str, int]]
) -> Metadata:
    """A study as QIDO gives it; `members` are (modality, instances) of the series seen."""
    answer = {
        "00080005": _UTF8,
        "00080020": _value("DA", _date(study.date)),
        "00080030": _value("TM", study.time),
        "00080050": _value("SH", study.accession_number),
        "00080056": _ONLINE,
        "00080061": _value("CS", *sorted({modality for modality, _ in members if modality})),
        "00080090": _person(study.referring_physician),
        "00081030": _value("LO", study.description),
        "00081190": _value("UR", _address(request, access, f"studies/{study.uid}")),
        "00100010": _person(study.patient_name),
        "00100020": _value("LO", study.patient_id),
        "00100030": _value("DA", _date(study.patient_birth_date)),
        "00100040": _value("CS", study.patient_sex),
        "0020000D": _value("UI", study.uid),
        "00200010": _value("SH", study.study_id),
        "00201206": _value("IS", len(members)),
        "00201208": _value("IS", sum(count for _, count in members)),
    }
    return answer if access.sees_names else identity.unnamed(answer)


def series_json(
    request: HttpRequest, access: Access, series: Series, count: int | None
) -> Metadata:
    """A series as QIDO gives it."""
    study = series.study
    address = _address(request, access, f"studies/{study.uid}/series/{series.uid}")
    answer = {
        "00080005": _UTF8,
        "00080021": _value("DA", _date(series.date)),
        "00080031": _value("TM", series.time),
        "00080056": _ONLINE,
        "00080060": _value("CS", series.modality),
        "0008103E": _value("LO", series.description),
        "00081190": _value("UR", address),
        "00180015": _value("CS", series.body_part),
        "0020000D": _value("UI", study.uid),
        "0020000E": _value("UI", series.uid),
        "00200011": _value("IS", series.number),
        "00200052": _value("UI", series.frame_of_reference_uid),
    }
    if count is not None:
        answer["00201209"] = _value("IS", count)
    return answer


def _instance_json(
    row: dict[str, Any], series: Series, root: str, access: Access, fields: set[str] | None
) -> Metadata:
    """An instance as QIDO gives it, with the fields asked for (None: all)."""
    study, sop = series.study.uid, row["sop_uid"]
    extra: Metadata = {}
    if fields != set():
        metadata: Metadata = row["metadata"]
        shown = metadata if access.sees_names else identity.unnamed(metadata)
        extra = {
            tag: value
            for tag, value in shown.items()
            if (fields is None or tag in fields) and "BulkDataURI" not in value
        }
    address = f"{root}studies/{study}/series/{series.uid}/instances/{sop}"
    answer = {
        **extra,
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
    return answer


def _modalities(request: HttpRequest) -> list[str]:
    """What `ModalitiesInStudy` asks for; only series the asker may know of count."""
    given = [v for k in ("ModalitiesInStudy", "00080061") for v in request.GET.getlist(k)]
    return [m for value in given for m in value.replace("\\", ",").split(",") if m not in ("", "*")]


def _members(access: Access, page: list[Study]) -> dict[Any, list[tuple[str, int]]]:
    """(modality, instances) of each visible series, by study: nothing else is counted."""
    members: dict[Any, list[tuple[str, int]]] = defaultdict(list)
    seen = access.series.filter(study__in=page).values("pk")
    counted = Series.objects.filter(pk__in=seen).annotate(n=Count("instances"))
    for study, modality, count in counted.values_list("study", "modality", "n"):
        members[study].append((modality, count))
    return members


def _page(request: HttpRequest, found: QuerySet[M]) -> QuerySet[M]:
    offset, limit = page_of(request.GET)
    return found[offset : None if limit is None else offset + limit]


def _address(request: HttpRequest, access: Access, path: str) -> str:
    return request.build_absolute_uri(f"{access.root}/{path}")


def _value(vr: str, *values: Any) -> dict[str, Any]:
    given = [v for v in values if v not in ("", None)]
    return {"vr": vr, "Value": given} if given else {"vr": vr}


def _person(name: str) -> dict[str, Any]:
    groups = ("Alphabetic", "Ideographic", "Phonetic")
    parts = {g: p for g, p in zip(groups, name.split("="), strict=False) if p}
    return {"vr": "PN", "Value": [parts]} if parts else {"vr": "PN"}


def _date(day: Any) -> str:
    return "" if day is None else f"{day:%Y%m%d}"


def _answer(answer: list[Metadata], matched: Matched, kind: str) -> HttpResponse:
    response = HttpResponse(json.dumps(answer), content_type=kind)
    response["Cache-Control"] = "private, no-cache"
    if matched.ignored:
        names = ", ".join(n for n in matched.ignored if n.isascii() and n.isprintable())[:200]
        response["Warning"] = f'299 Concord "These keys were not used to match: {names}"'
    return response
