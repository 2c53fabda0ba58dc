"""WADO-RS rendered and thumbnail: frames as PNG or JPEG, windowed, in one part or several."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from backend.archive.accept import ImageWanted, image_wanted
from backend.archive.access import Access, dicomweb
from backend.archive.bodies import REVALIDATE, Held, is_known, one_body, unchanged
from backend.archive.models import Instance
from backend.archive.pictures import Picture, picture_of
from backend.archive.streaming import Multipart, streamed
from backend.archive.wado import frame_numbers
from backend.errors import BadInput, Missing
from backend.version import VERSION

THUMBNAIL_PIXELS = 128
MAX_PICTURES = 5000


@dicomweb("GET")
def study_thumbnail(request: HttpRequest, access: Access, study: str) -> HttpResponseBase:
    """`GET /studies/{study}/thumbnail`: the middle image of its first image series."""
    series = access.series.filter(study=access.one_study(study))
    first = series.order_by("-is_image", "number", "uid").first()
    if first is None:
        raise Missing("image")
    return _thumbnail(request, _middle(first.instances.filter(frames__gt=0)))


@dicomweb("GET")
def series_thumbnail(
    request: HttpRequest, access: Access, study: str, series: str
) -> HttpResponseBase:
    """`GET …/series/{series}/thumbnail`: its middle image."""
    found = access.one_series(study, series)
    return _thumbnail(request, _middle(found.instances.filter(frames__gt=0)))


@dicomweb("GET")
def thumbnail(
    request: HttpRequest, access: Access, study: str, series: str, sop: str, number: str = ""
) -> HttpResponseBase:
    """`GET …/instances/{sop}[/frames/{n}]/thumbnail`; without a number, of the middle frame."""
    found = access.one_instance(study, series, sop)
    return _thumbnail(request, found, frame_numbers(number)[0] - 1 if number else None)


@dicomweb("GET")
def study_rendered(request: HttpRequest, access: Access, study: str) -> HttpResponseBase:
    """`GET /studies/{study}/rendered`: every frame of every image, one part each."""
    series = access.series.filter(study=access.one_study(study))
    return _several(request, Instance.objects.filter(series__in=series))


@dicomweb("GET")
def series_rendered(
    request: HttpRequest, access: Access, study: str, series: str
) -> HttpResponseBase:
    """`GET …/series/{series}/rendered`: every frame of every image, one part each."""
    return _several(request, access.one_series(study, series).instances.all())


@dicomweb("GET")
def rendered(
    request: HttpRequest, access: Access, study: str, series: str, sop: str, numbers: str = ""
) -> HttpResponseBase:
    """`GET …/instances/{sop}[/frames/{1,2,…}]/rendered?window=…&viewport=…&quality=…`.

    Without frame numbers: all frames where several parts are accepted, else the first.
    """
    found = access.one_instance(study, series, sop)
    wanted = frame_numbers(numbers) if numbers else []
    wish = image_wanted(request, pieces=len(wanted) or 1)
    if not wanted:
        wanted = list(range(1, found.frames + 1)) if wish.multipart else [1]
    if max(wanted, default=1) > found.frames:
        raise Missing("frame")
    return _pictures(request, wish, [(found, n - 1) for n in wanted])


def _several(request: HttpRequest, instances: QuerySet[Instance]) -> HttpResponseBase:
    wish = image_wanted(request, pieces=2)
    ordered = instances.filter(frames__gt=0).order_by(
        "series__number", "series__uid", "number", "sop_uid"
    )
    shown = [(one, index) for one in ordered for index in range(one.frames)]
    if not shown:
        raise Missing("image")
    if len(shown) > MAX_PICTURES:
        raise BadInput(
            "TOO_MANY_FRAMES",
            f"{len(shown)} pictures at once.",
            f"Ask for series or instances of at most {MAX_PICTURES} frames.",
        )
    return _pictures(request, wish, shown)


def _middle(instances: QuerySet[Instance]) -> Instance:
    found = instances.defer("metadata", "geometry").order_by("number", "sop_uid")
    count = found.count()
    if not count:
        raise Missing("image")
    return found[count // 2]


def _thumbnail(
    request: HttpRequest, instance: Instance, index: int | None = None
) -> HttpResponseBase:
    index = instance.frames // 2 if index is None else index
    if not 0 <= index < instance.frames:
        raise Missing("frame")
    wish = image_wanted(request, pieces=1)
    picture = Picture.asked_for(request.GET).at_most(THUMBNAIL_PIXELS)
    return _one(request, wish, picture, instance, index)


def _pictures(
    request: HttpRequest, wish: ImageWanted, shown: Sequence[tuple[Instance, int]]
) -> HttpResponseBase:
    picture = Picture.asked_for(request.GET)
    if not wish.multipart:
        return _one(request, wish, picture, *shown[0])
    kind = f"image/{wish.format.lower()}"
    message = Multipart(kind)

    def parts() -> Iterator[tuple[str, bytes]]:
        for instance, index in shown:
            yield kind, picture_of(instance, index, picture, wish.format)

    response = streamed(request, message.stream(parts()), message.content_type)
    response["Cache-Control"], response["Vary"] = REVALIDATE, "Accept"
    return _warned(request, response)


def _one(
    request: HttpRequest, wish: ImageWanted, picture: Picture, instance: Instance, index: int
) -> HttpResponseBase:
    """One picture; its ETag is known before it is drawn."""
    told = f"{VERSION} {instance.blob} {index} {picture} {wish.format}"
    etag = f'"{hashlib.sha256(told.encode()).hexdigest()[:32]}-{"m" if wish.multipart else "s"}"'
    if is_known(request, etag):
        return unchanged(etag, REVALIDATE)
    data = picture_of(instance, index, picture, wish.format)
    kind = f"image/{wish.format.lower()}"
    if not wish.multipart:
        body = one_body(request, Held(data), kind, etag=etag, cache=REVALIDATE)
        return _warned(request, body)
    message = Multipart(kind)
    whole = b"".join(message.stream([(kind, data)]))
    headers = {"ETag": etag, "Cache-Control": REVALIDATE, "Vary": "Accept"}
    return _warned(request, HttpResponse(whole, content_type=message.content_type, headers=headers))


def _warned(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Say what of the request was not heeded."""
    ignored = [name for name in ("annotation", "iccprofile") if request.GET.get(name)]
    if ignored:
        response["Warning"] = f'299 Concord "Not supported, and left out: {", ".join(ignored)}"'
    return response
