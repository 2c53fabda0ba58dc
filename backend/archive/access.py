"""Who is asking DICOMweb, and for which series it therefore exists."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cached_property, partial, wraps
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import CsrfViewMiddleware
from django.views.decorators.csrf import csrf_exempt

from backend.accounts.services import user_of
from backend.archive import visibility
from backend.archive.models import Instance, Series, Study
from backend.errors import ConcordError, Missing, NotAllowed
from backend.jobs.leasing import lease_of, series_opened_by
from backend.store import BlobMissing

if TYPE_CHECKING:
    from backend.accounts.models import User

logger = logging.getLogger(__name__)

View: TypeAlias = Callable[..., HttpResponseBase]


class NotSignedIn(ConcordError):
    """Nobody is signed in, or the token is unknown, revoked or has ended."""

    status = 401

    def __init__(self) -> None:
        super().__init__("NOT_SIGNED_IN", "You are not signed in.", "Sign in, or send a token.")


class NotAtHand(ConcordError):
    """The bytes of an image cannot be read from the content store."""

    status = 503

    def __init__(self) -> None:
        super().__init__(
            "NOT_AT_HAND",
            "The bytes of this object cannot be read from the content store.",
            "Try again; if it stays so, have an administrator run manage.py verify_store.",
        )


@dataclass(frozen=True)
class Access:
    """What the asker may know of.

    Attributes:
        visible: gives the series that exist for them.
        sees_names: whether they see who the patient is.
        root: the address the request's service begins with (`/dicom-web`, or a scope's).
        user: the person; None for a worker with a lease.
    """

    visible: Callable[[], QuerySet[Series]]
    sees_names: bool
    root: str
    user: User | None

    @cached_property
    def series(self) -> QuerySet[Series]:
        """The series that exist for them; asked for when they are needed."""
        return self.visible()

    @property
    def sees_everything(self) -> bool:
        """Whether all series are theirs to see: then no study need be asked for one."""
        return not self.series.query.where

    def one_series(self, study: str, series: str) -> Series:
        """The series, or `Missing`."""
        found = self.series.select_related("study").filter(uid=series, study__uid=study).first()
        if found is None:
            raise Missing("series")
        return found

    def one_study(self, study: str) -> Study:
        """The study, or `Missing`."""
        found = Study.objects.filter(uid=study, pk__in=self.series.values("study")).first()
        if found is None:
            raise Missing("study")
        return found

    def one_instance(self, study: str, series: str, sop: str) -> Instance:
        """The instance without its metadata (fetched when asked for), or `Missing`."""
        found = (
            Instance.objects.filter(
                sop_uid=sop, series__uid=series, series__study__uid=study, series__in=self.series
            )
            .defer("metadata", "geometry")
            .first()
        )
        if found is None:
            raise Missing("instance")
        return found


def access_of(request: HttpRequest, scope: str | None, scope_id: UUID | None) -> Access:
    """Session, user token or lease token; raises `NotSignedIn` or `Missing`."""
    user = request.user if request.user.is_authenticated else None
    token = _bearer(request)
    if token is not None:
        user = user_of(token)
        if user is None:
            return _leased(token, scope)
    if user is None:
        raise NotSignedIn
    if scope is None or scope_id is None:
        sees_names = visibility.may_upload(user)
        return Access(partial(visibility.visible, user), sees_names, "/dicom-web", user)
    seen = visibility.in_scope(scope, user, scope_id)
    return Access(lambda: seen, False, f"/dicom-web/{scope}/{scope_id}", user)


def _leased(token: str, scope: str | None) -> Access:
    """A worker sees the series of its run (a training's are many), while the attempt lives."""
    run = lease_of(token)
    if run is None:
        raise NotSignedIn
    if scope is not None:
        raise Missing("study")
    seen = Series.objects.filter(pk__in=series_opened_by(run))
    return Access(lambda: seen, False, "/dicom-web", None)


def _bearer(request: HttpRequest) -> str | None:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _head(response: HttpResponseBase) -> HttpResponseBase:
    """The answer without a body that would be read from the store for nothing.

    It streams too: of a body whose length is not known beforehand, none is to be told. The body
    was not begun, so there is nothing to close; closing the answer here would tell Django
    that the request has ended, and end its database connection.
    """
    if not response.streaming:
        return response
    nothing = StreamingHttpResponse(_no_parts(), status=response.status_code)
    nothing.headers = response.headers
    return nothing


async def _no_parts() -> AsyncIterator[bytes]:
    return
    yield


def _refusal(error: ConcordError) -> JsonResponse:
    response = JsonResponse(error.body(), status=error.status)
    if error.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="Concord"'
    return response


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def dicomweb(*methods: str) -> Callable[[View], View]:
    """A view of DICOMweb: `view(request, access, …)`, for these methods, errors in our shape.

    A session needs its CSRF token to write; a bearer token does not.
    """

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def answer(
            request: HttpRequest,
            scope: str | None = None,
            scope_id: UUID | None = None,
            **parts: str,
        ) -> HttpResponseBase:
            allowed = (*methods, "HEAD") if "GET" in methods else methods
            if request.method == "OPTIONS":  # The same for everyone and everything.
                return HttpResponse(status=204, headers={"Allow": ", ".join((*allowed, "OPTIONS"))})
            try:
                if request.method not in allowed:
                    return _wrong_method(request, methods)
                access = access_of(request, scope, scope_id)
                if request.method == "POST" and _bearer(request) is None:
                    _check_csrf(request)
                response = view(request, access, **parts)
            except ConcordError as error:
                return _refusal(error)
            except (BlobMissing, OSError) as error:
                logger.exception("%s could not be served.", request.path, exc_info=error)
                return _refusal(NotAtHand())
            return _head(response) if request.method == "HEAD" else response

        return answer

    return decorate


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def _check_csrf(request: HttpRequest) -> None:
    check = _CsrfCheck(_nothing)
    check.process_request(request)
    if check.process_view(request, _nothing, (), {}) is not None:
        raise NotAllowed(
            "CSRF",
            "This request came without its page's token.",
            "Reload the page, or use a token.",
        )


def _wrong_method(request: HttpRequest, methods: tuple[str, ...]) -> JsonResponse:
    body = {
        "error": "BAD_METHOD",
        "message": f"{request.method} is not answered here.",
        "cure": "Use one of the methods in the Allow header.",
        "possible": list(methods),
    }
    return JsonResponse(body, status=405, headers={"Allow": ", ".join(methods)})
