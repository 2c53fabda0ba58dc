"""QIDO-RS: what studies, series and instances there are, for this asker."""

from __future__ import annotations

import json
from typing import TypeVar

from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest, HttpResponse

from backend.archive.accept import json_type
from backend.archive.access import Access, dicomweb
from backend.archive.bodies import REVALIDATE
from backend.archive.matching import (
    INSTANCE_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    Included,
    Key,
    Matched,
    conditions,
    included,
    page_of,
)
from backend.archive.metadata import Metadata
from backend.archive.models import Instance, Series, Study
from backend.archive.qido_answers import TIMEZONE, Answers
from backend.archive.stow import store_request as stow

M = TypeVar("M", bound=Model)

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
    search = Search(request, access, {"": STUDY_KEYS})
    found = Study.objects.filter(search.matched.condition)
    if not access.sees_everything:
        found = found.filter(pk__in=access.series.values("study"))
    page = search.page(found.order_by("-date", "uid"))
    answers = search.answers
    members = answers.members(page)
    more = answers.more_of_studies(page, search.fields)
    answer = [{**more.get(s.pk, {}), **answers.study(s, members[s.pk])} for s in page]
    return search.answer(answer)


@dicomweb("GET")
def series(request: HttpRequest, access: Access, study: str | None = None) -> HttpResponse:
    """`GET /series?…` and `GET /studies/{study}/series?…`."""
    levels = {"": SERIES_KEYS, **({} if study else {"study__": STUDY_KEYS})}
    search = Search(request, access, levels)
    found = access.series.filter(search.matched.condition)
    if study is not None:
        found = found.filter(study=access.one_study(study))
    page = search.page(found.select_related("study").order_by("study__uid", "number", "uid"))
    answers = search.answers
    counted = Series.objects.filter(pk__in=[s.pk for s in page]).annotate(n=Count("instances"))
    counts = dict(counted.values_list("pk", "n"))
    members = {} if study else answers.members([s.study for s in page])
    more = answers.more_of_series(page, search.fields)
    answer = []
    for one in page:
        above = {} if study else answers.study(one.study, members[one.study_id])
        answer.append({**more.get(one.pk, {}), **above, **answers.series(one, counts[one.pk])})
    return search.answer(answer)


@dicomweb("GET")
def instances(
    request: HttpRequest, access: Access, study: str | None = None, series: str | None = None
) -> HttpResponse:
    """`GET /instances?…`, `…/studies/{study}/instances`, `…/series/{series}/instances`."""
    levels = {
        "": INSTANCE_KEYS,
        **({} if series else {"series__": SERIES_KEYS}),
        **({} if study else {"series__study__": STUDY_KEYS}),
    }
    search = Search(request, access, levels)
    found = Instance.objects.filter(search.matched.condition)
    if study is not None and series is not None:
        found = found.filter(series=access.one_series(study, series))
    elif study is not None:
        found = found.filter(series__in=access.series.filter(study=access.one_study(study)))
    else:
        found = found.filter(series__in=access.series)
    found = found.order_by(
        "series__study__uid", "series__number", "series__uid", "number", "sop_uid"
    )
    columns = [*_INSTANCE_COLUMNS, *(["metadata"] if search.fields else [])]
    rows = search.page(found.values(*columns))
    parents = Series.objects.select_related("study").in_bulk({row["series_id"] for row in rows})
    answers = search.answers
    studies = {one.study_id: one.study for one in parents.values()}
    members = {} if study else answers.members(list(studies.values()))
    above: dict[object, Metadata] = {}
    more = answers.more_of_series(list(parents.values()), Included(False, frozenset(), []))
    for pk, one in parents.items():
        top = {} if study else answers.study(one.study, members[one.study_id])
        beside = more.get(pk, {})
        if series:  # The series is in the address; of what it says only the time zone is told.
            above[pk] = {tag: value for tag, value in beside.items() if tag == TIMEZONE}
        else:
            above[pk] = {**beside, **top, **answers.series(one, None)}
    answer = [
        {
            **above[row["series_id"]],
            **answers.instance(row, parents[row["series_id"]], search.fields),
        }
        for row in rows
    ]
    return search.answer(answer)


class Search:
    """One search: its keys, its page, and its answer with what is to be told beside."""

    def __init__(
        self, request: HttpRequest, access: Access, levels: dict[str, dict[str, Key]]
    ) -> None:
        self.kind = json_type(request)
        self.fields: Included = included(request.GET)
        self.matched: Matched = conditions(
            request.GET,
            levels,
            series=access.series,
            sees_names=access.sees_names,
        )
        self.answers = Answers(access, request.build_absolute_uri(f"{access.root}/"))
        self._offset, self._limit = page_of(request.GET)
        self._total = 0

    def page(self, found: QuerySet[M]) -> list[M]:
        """The page of what was found; all are counted only where the page may not hold the end."""
        offset, limit = self._offset, self._limit
        page = list(found[offset : None if limit is None else offset + limit])
        ended = limit is None or len(page) < limit
        self._total = offset + len(page) if ended and (page or not offset) else found.count()
        return page

    def answer(self, rows: list[Metadata]) -> HttpResponse:
        """The rows as JSON, with their total number and what could not be heeded."""
        response = HttpResponse(json.dumps(rows), content_type=self.kind)
        response["Cache-Control"] = REVALIDATE
        response["X-Total-Count"] = str(self._total)
        warnings = list(self.matched.warnings)
        for names, said in (
            (self.matched.ignored, "These keys were not used to match"),
            (self.fields.unknown, "These fields are not known"),
        ):
            shown = ", ".join(n for n in names if n.isascii() and n.isprintable())[:200]
            if names:
                warnings.append(f"{said}: {shown}".replace('"', "'").replace("\\", "/"))
        if warnings:
            response["Warning"] = ", ".join(f'299 Concord "{text}."' for text in warnings)
        return response
