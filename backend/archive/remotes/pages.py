"""The pages of remotes: the list, and of each one its search and its transfers.

For who may upload; everyone else gets the same refusal whatever there is. What is searched for
names patients, so it travels in bodies and never in addresses.
"""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from backend.accounts.models import User
from backend.archive.remotes import asking, managing
from backend.archive.remotes.forms import criteria_of, facts_of_form, wanted_of
from backend.archive.remotes.here import is_deidentified, series_here, studies_here
from backend.archive.remotes.line import Line
from backend.archive.remotes.models import Remote, SignIn
from backend.archive.remotes.problems import RemoteProblem
from backend.archive.remotes.sealing import CannotUnseal
from backend.archive.remotes.searching import SHOWN_STUDIES, search_studies, series_of
from backend.archive.remotes.showing import (
    here_words,
    label_of,
    local_studies,
    transfer_rows,
)
from backend.archive.visibility import require_upload
from backend.audit.news import heads_now
from backend.audit.services import record
from backend.errors import BadInput, ConcordError, Missing, NotAllowed

SEARCH_SECONDS = 25.0
ARCHIVE_NEWS = "coordinators"


@login_required
def remotes(request: HttpRequest) -> HttpResponse:
    """`/archive/remotes/`: the list; `POST` by an administrator adds one."""
    user = _uploader(request)
    if request.method == "POST":
        return _add(request, user)
    return _list(request, user)


def _add(request: HttpRequest, user: User) -> HttpResponse:
    try:
        name, facts = facts_of_form(request.POST)
        made = managing.add_remote(name=name, facts=facts, actor=user)
    except NotAllowed:
        raise
    except ConcordError as error:
        return _list(request, user, error)
    messages.success(request, f"{made.name} was added. Test the connection before it is used.")
    return redirect("remotes")


def _list(request: HttpRequest, user: User, error: ConcordError | None = None) -> HttpResponse:
    context = {
        "remotes": managing.remotes(),
        "may_manage": user.is_superuser,
        "ways": SignIn.choices,
        "error": error,
        "said": request.POST if error else {"verify_tls": "on"},
    }
    return render(request, "archive/remotes.html", context, status=error.status if error else 200)


@login_required
@require_GET
def remote(request: HttpRequest, remote: str) -> HttpResponse:
    """`/archive/remotes/<name>/`: search it, see its transfers, send to it."""
    user, found = _found(request, remote)
    context = {
        "remote": found,
        "seen": heads_now([ARCHIVE_NEWS]),
        "may_manage": user.is_superuser,
        "ways": SignIn.choices,
        "said": {
            "url": found.url,
            "sign_in": found.sign_in,
            "username": found.username,
            "verify_tls": "on" if found.verify_tls else "",
            "ca_certificates": found.ca_certificates,
        },
        "deidentified": is_deidentified(found),
        "rows": transfer_rows(user, found),
        "studies": local_studies(user, ""),
    }
    return render(request, "archive/remote.html", context)


@login_required
@require_POST
def change(request: HttpRequest, remote: str) -> HttpResponse:
    """Change a remote; an empty password leaves the one that is kept."""
    user, found = _found(request, remote)
    _name, facts = facts_of_form(request.POST, name=found.name)
    managing.change_remote(remote=found, facts=facts, actor=user)
    messages.success(request, f"{found.name} was changed.")
    return redirect("remote", remote=found.name)


@login_required
@require_POST
def remove(request: HttpRequest, remote: str) -> HttpResponse:
    """Remove a remote."""
    user, found = _found(request, remote)
    managing.remove_remote(remote=found, actor=user)
    messages.success(request, f"{found.name} was removed; what came from it stays.")
    return redirect("remotes")


@login_required
@require_POST
def test(request: HttpRequest, remote: str) -> HttpResponse:
    """The test-connection button: a sentence."""
    user, found = _found(request, remote)
    context: dict[str, object] = {"remote": found}
    try:
        managing.test_remote(found)
    except (RemoteProblem, CannotUnseal) as problem:
        context["problem"] = problem
    record(
        "remote.tested",
        found,
        actor=user,
        remote=found.name,
        outcome="failure" if "problem" in context else "success",
    )
    return render(request, "archive/_tested.html", context)


@login_required
@require_POST
def search(request: HttpRequest, remote: str) -> HttpResponse:
    """The studies that fit, as a table; or why there is none."""
    user, found = _found(request, remote)
    context: dict[str, object] = {"remote": found, "shown": SHOWN_STUDIES}
    outcome = "success"
    named: list[str] = []
    try:
        criteria = criteria_of(request.POST)
        named = criteria.named
        with Line(found, seconds=SEARCH_SECONDS) as line:
            answer = search_studies(line, criteria)
        here = studies_here(found, [study.uid for study in answer.studies])
        context["more"] = answer.more
        context["rows"] = [
            {
                "study": study,
                "here": here_words(here.get(study.uid, 0), study.images),
                "label": label_of(study),
            }
            for study in answer.studies
        ]
        count = len(answer.studies)
    except (BadInput, CannotUnseal) as problem:
        context["problem"], outcome, count = problem, "failure", 0
    record(
        "remote.searched",
        found,
        actor=user,
        remote=found.name,
        outcome=outcome,
        criteria=named,
        found=count,
    )
    return render(request, "archive/_found.html", context)


@login_required
@require_POST
def series(request: HttpRequest, remote: str) -> HttpResponse:
    """The series of one study, as rows to choose from."""
    _user, found = _found(request, remote)
    study = request.POST.get("study", "")
    context: dict[str, object] = {"remote": found, "study": study}
    try:
        with Line(found, seconds=SEARCH_SECONDS) as line:
            listed = series_of(line, study)
        here = series_here(found, [one.uid for one in listed])
        context["rows"] = [
            {"series": one, "here": here_words(here.get(one.uid, 0), one.images)} for one in listed
        ]
    except (BadInput, CannotUnseal) as problem:
        context["problem"] = problem
    return render(request, "archive/_found_series.html", context)


@login_required
@require_POST
def pull(request: HttpRequest, remote: str) -> HttpResponse:
    """Have the chosen studies and series fetched."""
    user, found = _found(request, remote)
    wanted = wanted_of(request.POST)
    if not wanted:
        raise BadInput("NOTHING_CHOSEN", "Nothing was chosen.", "Tick a study or a series.")
    for one in wanted:
        asking.request_pull(remote=found, wanted=one, actor=user)
    return _transfers(request, user, found)


@login_required
@require_POST
def push(request: HttpRequest, remote: str) -> HttpResponse:
    """Have a study, a series or an export sent."""
    user, found = _found(request, remote)
    kind = request.POST.get("kind", "")
    subject = _uuid(request.POST.get("id", ""), kind or "study")
    asking.request_push(remote=found, kind=kind, subject=subject, actor=user)
    if request.POST.get("back") == "1":
        messages.info(request, f"It is being sent to {found.name}; see there how it goes.")
        return redirect(_back(request))
    return _transfers(request, user, found)


def _back(request: HttpRequest) -> str:
    """The page of a case the button was on; the remotes else."""
    case = request.POST.get("case", "")
    return f"/cases/{_uuid(case, 'case')}/" if case else "/archive/remotes/"


@login_required
@require_GET
def transfers(request: HttpRequest, remote: str) -> HttpResponse:
    """The transfers alone, for the page to refresh itself."""
    user, found = _found(request, remote)
    context = {"remote": found, "rows": transfer_rows(user, found)}
    return render(request, "archive/_transfers.html", context)


@login_required
@require_POST
def studies(request: HttpRequest, remote: str) -> HttpResponse:
    """The studies of this archive that fit a word, to send them."""
    user, found = _found(request, remote)
    rows = local_studies(user, request.POST.get("words", ""))
    return render(request, "archive/_studies_here.html", {"remote": found, "studies": rows})


@login_required
@require_POST
def change_transfer(request: HttpRequest, transfer: UUID, action: str) -> HttpResponse:
    """The buttons of a transfer: cancel, retry, accept."""
    user = _uploader(request)
    found = asking.transfer_seen_by(user, transfer)
    verb = {
        "cancel": asking.cancel_transfer,
        "retry": asking.retry_transfer,
        "accept": asking.accept_transfer,
    }.get(action)
    if verb is None:
        raise Missing("page")
    verb(transfer=found, actor=user)
    return _transfers(request, user, found.remote)


def _transfers(request: HttpRequest, user: User, found: Remote) -> HttpResponse:
    """The list for a script, the whole page without."""
    if request.headers.get("HX-Request") != "true":
        if found.removed is None:
            return redirect("remote", remote=found.name)
        return redirect("remotes")
    context = {"remote": found, "rows": transfer_rows(user, found)}
    return render(request, "archive/_transfers.html", context)


def _found(request: HttpRequest, name: str) -> tuple[User, Remote]:
    user = _uploader(request)
    return user, managing.remote_named(name)


def _uploader(request: HttpRequest) -> User:
    return require_upload(cast(User, request.user), "other archives")


def _uuid(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Missing(what if what in ("study", "series", "export", "case") else "page") from None
