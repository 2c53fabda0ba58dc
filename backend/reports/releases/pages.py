"""The pages of releases: the list, and one release with what it lists."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.models import User
from backend.errors import BadInput, ConcordError, Missing
from backend.imaging.masks import canonical_json
from backend.pages import said_back
from backend.reading.models import Case, Project
from backend.reading.selectors import person
from backend.reports.releases import selectors, services
from backend.reports.releases.listing import labels_of, node_rows
from backend.reports.releases.models import Release, ReleaseState
from backend.reports.releases.splitting import Split

TITLES = {
    Split.TRAIN.value: "training",
    Split.VALIDATION.value: "validation",
    Split.LOCKED_TEST.value: "held out",
    "": "–",
}


@login_required
@require_safe
def releases_page(request: HttpRequest) -> HttpResponse:
    """Every release this user may know of, and a form for a new one."""
    user = _visitor(request)
    rows = [
        {"release": one, "cases": one.items.count(), "tone": _tone(one)}
        for one in selectors.releases_of(user)
    ]
    projects = [
        {"project": project, "published": selectors.published(project).count()}
        for project in selectors.projects_coordinated(user)
    ]
    return render(request, "reports/releases.html", {"rows": rows, "projects": projects})


@login_required
@require_safe
def release_page(request: HttpRequest, release: UUID) -> HttpResponse:
    """One release: its cases, who is held out, its hash, what may be done."""
    user = _visitor(request)
    found = selectors.release_for(user, release)
    sees = selectors.sees_what_was_agreed(user, found)
    coordinates = selectors.coordinates(user, found.project)
    rows = _rows(found, sees)
    draft = found.state == ReleaseState.DRAFT.value
    listed = {row["case"].pk for row in rows}
    context = {
        "release": found,
        "tone": _tone(found),
        "draft": draft,
        "rows": rows,
        "sees": sees,
        "coordinates": coordinates,
        "counts": _counts(rows),
        "unlisted": [one for one in selectors.published(found.project) if one.case_id not in listed]
        if draft and coordinates
        else [],
        "stale": [row["case"].label for row in rows if row["newer"]] if draft else [],
    }
    return render(request, "reports/release.html", context)


@login_required
@require_safe
def manifest(request: HttpRequest, release: UUID) -> HttpResponse:
    """The manifest of a frozen release, byte for byte what its hash was made of."""
    found = _agreed_of(request, release)
    answer = HttpResponse(canonical_json(found.manifest), content_type="application/json")
    return _saved(answer, f"release-{found.sha256[:12]}.json")


@login_required
@require_safe
def nodes(request: HttpRequest, release: UUID) -> HttpResponse:
    """Every agreed node of a frozen release, as a table."""
    found = _agreed_of(request, release)
    rows = list(node_rows(found))
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys() if rows else ["case"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    answer = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    return _saved(answer, f"release-{found.sha256[:12]}-nodes.csv")


@login_required
@require_POST
def draft(request: HttpRequest) -> HttpResponse:
    """Draft a release (`project`, `name`, `held_out` in percent)."""
    user = _visitor(request)
    projects = {str(one.pk): one for one in selectors.projects_coordinated(user)}
    project = projects.get(request.POST.get("project", ""))
    if project is None:
        raise Missing("project")
    try:
        found = _drafted(request, project, user)
    except ConcordError as error:
        messages.error(request, str(error))
        return redirect("releases")
    return redirect("release", release=found.pk)


def _drafted(request: HttpRequest, project: Project, user: User) -> Release:
    text = request.POST.get("held_out", "20")
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise BadInput("HELD_OUT", "How many are held out is a whole percentage.", "Type 0 to 90.")
    name = request.POST.get("name", "")
    return services.draft_release(project=project, name=name, held_out=int(text), actor=user)


@login_required
@require_POST
def list_case(request: HttpRequest, release: UUID, case: UUID) -> HttpResponse:
    """List a case's published version."""
    return _act(
        request,
        release,
        lambda user, found: services.list_case(
            release=found.pk, case=_case(found, case), actor=user
        ),
    )


@login_required
@require_POST
def unlist_case(request: HttpRequest, release: UUID, case: UUID) -> HttpResponse:
    """Take a case out."""
    return _act(
        request,
        release,
        lambda user, found: services.unlist_case(
            release=found.pk, case=_case(found, case), actor=user
        ),
    )


@login_required
@require_POST
def freeze(request: HttpRequest, release: UUID) -> HttpResponse:
    """Make it final."""
    return _act(request, release, lambda user, found: services.freeze(release=found.pk, actor=user))


@login_required
@require_POST
def withdraw(request: HttpRequest, release: UUID) -> HttpResponse:
    """Say that it is not to be used any more (`reason`)."""
    reason = request.POST.get("reason", "")
    return _act(
        request,
        release,
        lambda user, found: services.withdraw(release=found.pk, reason=reason, actor=user),
    )


def _visitor(request: HttpRequest) -> User:
    user = person(request.user)
    if not selectors.opens_releases(user):
        raise Missing("page")
    return user


def _agreed_of(request: HttpRequest, release: UUID) -> Release:
    """A frozen release whose nodes this user may see; raises `Missing`."""
    user = _visitor(request)
    found = selectors.release_for(user, release)
    if not found.sha256 or not selectors.sees_what_was_agreed(user, found):
        raise Missing("release")
    return found


def _case(release: Release, case: UUID) -> Case:
    found = Case.objects.filter(project=release.project_id, pk=case).first()
    if found is None:
        raise Missing("case")
    return found


def _act(
    request: HttpRequest, release: UUID, act: Callable[[User, Release], Release]
) -> HttpResponse:
    user = _visitor(request)
    found = selectors.release_for(user, release)
    try:
        act(user, found)
    except ConcordError as error:
        return said_back(request, error, "release", release=found.pk)
    return redirect("release", release=found.pk)


def _saved(answer: HttpResponse, filename: str) -> HttpResponse:
    answer.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


def _tone(release: Release) -> str:
    return {"frozen": "done", "withdrawn": "bad"}.get(release.state, "")


def _rows(release: Release, sees: bool) -> list[dict[str, Any]]:
    splits = dict(release.items.values_list("consensus", "split"))
    newest = dict(selectors.published(release.project).values_list("case", "version"))
    return [
        {
            "case": one.case,
            "version": one.version,
            "published": one.published_at,
            "newer": newest.get(one.case_id, one.version) != one.version
            or one.case_id not in newest,
            "split": TITLES[splits[one.pk]],
            "nodes": one.nodes.count() if sees else None,
            "labels": sorted(labels_of(one).items()) if sees else [],
        }
        for one in selectors.listed(release)
    ]


def _counts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per split: people, cases, nodes, metastatic ones."""
    found = []
    for title in dict.fromkeys(TITLES.values()):
        some = [row for row in rows if row["split"] == title]
        if some:
            found.append(
                {
                    "split": title,
                    "people": len({row["case"].subject_id for row in some}),
                    "cases": len(some),
                    "nodes": sum(row["nodes"] or 0 for row in some),
                    "metastatic": sum(dict(row["labels"]).get("metastatic", 0) for row in some),
                }
            )
    return found
