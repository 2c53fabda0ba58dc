"""WADO-RS: instances, metadata, frames and bulk values; and a series as one volume."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from backend.archive import grants, identity
from backend.archive.accept import (
    EXPLICIT_LITTLE_ENDIAN,
    DicomWanted,
    NotAcceptable,
    accepted,
    bulk_is_multipart,
    bulk_wanted,
    dicom_wanted,
    frame_forms,
    frame_syntax,
    frame_type,
    json_type,
)
from backend.archive.access import Access, dicomweb
from backend.archive.bodies import (
    IMMUTABLE,
    REVALIDATE,
    Held,
    Lying,
    etag_of,
    is_known,
    one_body,
    unchanged,
)
from backend.archive.metadata import bulk_value, rebased
from backend.archive.models import Instance, Series
from backend.archive.pixels import NATIVE_LITTLE_ENDIAN
from backend.archive.storing import read_dataset
from backend.archive.stow import store_request as stow
from backend.archive.streaming import Multipart, streamed
from backend.archive.transcoding import (
    LOSSY,
    compressed_syntaxes,
    frames_of,
    instance_syntaxes,
    part10,
    plain_pixels,
)
from backend.archive.volume import facts_for_model, volume_parts
from backend.errors import BadInput, Missing
from backend.jobs.protocol import VOLUME_MEDIA_TYPE
from backend.store import store

MAX_FRAMES_AT_ONCE = 1000
_HELD_BYTES = 16 << 20  # Longer answers of several frames go out as they are read.


@dicomweb("GET", "POST")
def study(request: HttpRequest, access: Access, study: str) -> HttpResponseBase:
    """`GET /studies/{study}`: all its instances; `POST`: STOW of that study alone."""
    if request.method == "POST":
        return stow(request, access, study)
    found = access.one_study(study)
    instances = Instance.objects.filter(series__in=access.series.filter(study=found))
    return _instances(request, access, _ordered(instances))


@dicomweb("GET")
def series(request: HttpRequest, access: Access, study: str, series: str) -> HttpResponseBase:
    """`GET …/series/{series}`: all its instances, or the volume in one piece."""
    found = access.one_series(study, series)
    if any(media.kind == VOLUME_MEDIA_TYPE for media in accepted(request)):
        return _volume(request, access, found)
    return _instances(request, access, _ordered(found.instances.all()))


@dicomweb("GET")
def instance(
    request: HttpRequest, access: Access, study: str, series: str, sop: str
) -> HttpResponseBase:
    """`GET …/instances/{sop}`."""
    return _instances(request, access, [access.one_instance(study, series, sop)])


@dicomweb("GET")
def study_metadata(request: HttpRequest, access: Access, study: str) -> HttpResponseBase:
    """`GET /studies/{study}/metadata`."""
    kind = json_type(request)
    found = access.one_study(study)
    answer = []
    for one in access.series.filter(study=found).order_by("number", "uid"):
        for row in json.loads(gzip.decompress(_series_metadata(one, access)[1])):
            answer.append(rebased(row, f"series/{one.uid}/"))
    return _json(request, json.dumps(answer).encode(), kind)


@dicomweb("GET")
def series_metadata(
    request: HttpRequest, access: Access, study: str, series: str
) -> HttpResponseBase:
    """`GET …/series/{series}/metadata`: gzipped once, kept, sent as it is."""
    kind = json_type(request)
    name, packed = _series_metadata(access.one_series(study, series), access)
    etag = f'"{name}"'
    grants.allow(request, request.path, grants.Document(name, etag))
    if is_known(request, etag):
        return unchanged(etag, REVALIDATE)
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    body = packed if zipped else gzip.decompress(packed)
    headers = {"ETag": etag, "Cache-Control": REVALIDATE, "Vary": "Accept-Encoding"}
    response = HttpResponse(body, content_type=kind, headers=headers)
    if zipped:
        response["Content-Encoding"] = "gzip"
    return response


@dicomweb("GET")
def instance_metadata(
    request: HttpRequest, access: Access, study: str, series: str, sop: str
) -> HttpResponseBase:
    """`GET …/instances/{sop}/metadata`."""
    kind = json_type(request)
    metadata = access.one_instance(study, series, sop).metadata
    shown = metadata if access.sees_names else identity.unnamed(metadata)
    return _json(request, json.dumps([shown]).encode(), kind)


@dicomweb("GET")
def frames(
    request: HttpRequest, access: Access, study: str, series: str, sop: str, numbers: str
) -> HttpResponseBase:
    """`GET …/frames/{1,2,…}`: uncompressed little-endian pixels, or compressed as accepted."""
    wanted = frame_numbers(numbers)
    found = access.one_instance(study, series, sop)
    if not found.frames or max(wanted) > found.frames:
        raise Missing("frame")
    multipart, syntax = _frame_way(request, found, len(wanted))
    plain = syntax == EXPLICIT_LITTLE_ENDIAN
    tag = f"{numbers}-{'m' if multipart else 's'}{'' if plain else f'-{syntax}'}"
    etag, cache = f'"{found.blob}-{tag}"', _cache(found, syntax)
    if is_known(request, etag):
        return unchanged(etag, cache)
    if plain:
        grants.allow_frames(request, found, root=access.root, user=access.user)
    pieces = frames_of(found, [n - 1 for n in wanted], syntax)
    kind = frame_type(syntax)
    if not multipart:
        return one_body(request, Held(next(pieces)), kind, etag=etag, cache=cache)
    message = Multipart(kind)
    parts = message.stream((kind, piece) for piece in pieces)
    response: HttpResponseBase
    if len(wanted) * (found.frame_bytes or found.size) > _HELD_BYTES:
        response = streamed(request, parts, message.content_type)
    else:
        response = HttpResponse(b"".join(parts), content_type=message.content_type)
    response["ETag"], response["Cache-Control"], response["Vary"] = etag, cache, "Accept"
    return response


def _frame_way(request: HttpRequest, instance: Instance, pieces: int) -> tuple[bool, str]:
    """Whether frames go out as multipart, and in which transfer syntax; or `NotAcceptable`."""
    givable = compressed_syntaxes(instance)
    for way in bulk_wanted(accepted(request), pieces=pieces):
        syntax = frame_syntax(way, givable)
        if syntax is not None:
            return way.multipart, syntax
    raise NotAcceptable(frame_forms(givable, pieces))


def _cache(instance: Instance, syntax: str) -> str:
    """For ever where the bytes are those that came, or follow from them without any choice."""
    if syntax == instance.transfer_syntax:
        return IMMUTABLE
    plain = syntax == EXPLICIT_LITTLE_ENDIAN and instance.transfer_syntax not in LOSSY
    return IMMUTABLE if plain else REVALIDATE


@dicomweb("GET")
def bulkdata(
    request: HttpRequest, access: Access, study: str, series: str, sop: str, path: str
) -> HttpResponseBase:
    """`GET …/bulkdata/{path}`: what a BulkDataURI of the metadata leads to."""
    found = access.one_instance(study, series, sop)
    path = path.upper()
    tags = path.split("/")[::2]
    if not all(len(t) == 8 and set(t) <= set("0123456789ABCDEF") for t in tags):
        raise Missing("value")
    if not access.sees_names and any(identity.is_hidden(tag) for tag in tags):
        raise Missing("value")
    multipart = bulk_is_multipart(request, pieces=1)
    etag = f'"{found.blob}-{path}-{"m" if multipart else "s"}"'
    if is_known(request, etag):
        return unchanged(etag, IMMUTABLE)
    body = _bulk_body(found, path)
    kind = frame_type(EXPLICIT_LITTLE_ENDIAN)
    if not multipart:
        return one_body(request, body, kind, etag=etag, cache=IMMUTABLE)
    message = Multipart(kind)
    response = streamed(
        request, message.around_parts(body.parts(0, len(body))), message.content_type
    )
    response["ETag"], response["Cache-Control"], response["Vary"] = etag, IMMUTABLE, "Accept"
    return response


def _bulk_body(instance: Instance, path: str) -> Held | Lying:
    """A bulk value: cut out of the file where it lies ready; pixels always uncompressed."""
    if path == "7FE00010" and instance.frames:
        if instance.pixel_offset is not None and instance.frame_bytes is not None:
            size = instance.frame_bytes * instance.frames
            return Lying(instance.blob, instance.pixel_offset, size)
        if instance.transfer_syntax not in NATIVE_LITTLE_ENDIAN:
            return Held(plain_pixels(read_dataset(instance), instance.frames))
    value = bulk_value(read_dataset(instance), path)
    if value is None:
        raise Missing("value")
    return Held(value)


def frame_numbers(text: str) -> list[int]:
    """The numbers of a list like `1,2,3`, from 1 up; raises `BadInput`."""
    numbers = [int(n) for n in text.split(",") if n.isdecimal() and len(n) < 7]
    if len(numbers) != text.count(",") + 1 or min(numbers) < 1:
        raise BadInput("BAD_FRAMES", f"{text[:40]} is no list of frames.", "Send 1, or 1,2,3.")
    if len(numbers) > MAX_FRAMES_AT_ONCE:
        raise BadInput(
            "TOO_MANY_FRAMES", f"{len(numbers)} frames at once.", f"Ask for {MAX_FRAMES_AT_ONCE}."
        )
    return numbers


def _volume(request: HttpRequest, access: Access, series: Series) -> HttpResponseBase:
    """The series as one answer; what a model may know beside the images is not for readers."""
    outwards = request.GET.get("order") == "outwards"
    after = request.GET.get("after", "0")
    if not after.isdecimal() or len(after) > 6:
        raise BadInput("BAD_AFTER", f"{after[:40]} is no number of slices.", "Send 0, or 12.")
    facts = facts_for_model(series) if access.root == "/dicom-web" else {}
    length, parts = volume_parts(series, facts=facts, outwards=outwards, after=int(after))
    if access.user is not None:
        grants.note_view(series, access.root, access.user)
    response = streamed(request, parts, VOLUME_MEDIA_TYPE, length)
    response["ETag"] = f'"{series.geometry_hash}"'
    response["Cache-Control"] = REVALIDATE
    return response


def _ordered(instances: object) -> list[Instance]:
    found = instances.defer("metadata", "geometry")  # type: ignore[attr-defined]
    return list(found.order_by("series__number", "series__uid", "number", "sop_uid"))


def _instances(
    request: HttpRequest, access: Access, instances: Sequence[Instance]
) -> HttpResponseBase:
    """Part 10 files, one part each, streamed; as stored where the request lets them be."""
    ways = dicom_wanted(request, pieces=len(instances))
    way = next((w for w in ways if all(_syntax(i, w) for i in instances)), None)
    if way is None:
        several = 'multipart/related; type="application/dicom"; transfer-syntax='
        common = set.intersection(*({*instance_syntaxes(i)} for i in instances))
        raise NotAcceptable([several + "*", *(several + syntax for syntax in sorted(common))])
    if not way.multipart:
        return one_file(request, access, instances[0], _syntax(instances[0], way))

    def files(chosen: DicomWanted) -> Iterator[tuple[str, bytes]]:
        for one in instances:
            syntax = _syntax(one, chosen)
            data = part10(one, syntax=syntax, named=access.sees_names)
            yield f"application/dicom; transfer-syntax={syntax}", data

    message = Multipart("application/dicom")
    response = streamed(request, message.stream(files(way)), message.content_type)
    response["Cache-Control"], response["Vary"] = REVALIDATE, "Accept"
    return response


def one_file(
    request: HttpRequest, access: Access, instance: Instance, syntax: str
) -> HttpResponseBase:
    """One Part 10 file as the one body of an answer."""
    kind = f"application/dicom; transfer-syntax={syntax}"
    if access.sees_names and syntax == instance.transfer_syntax:
        stored = Lying(instance.blob, 0, instance.size)
        return one_body(request, stored, kind, etag=f'"{instance.blob}"', cache=IMMUTABLE)
    data = part10(instance, syntax=syntax, named=access.sees_names)
    return one_body(request, Held(data), kind, etag=etag_of(data), cache=REVALIDATE)


def _syntax(instance: Instance, way: DicomWanted) -> str:
    """The transfer syntax an instance goes out in, "" where it cannot as wanted.

    Little-endian files go out as they are unless explicit VR was asked for by name.
    """
    if way.syntax == "*":
        return instance.transfer_syntax
    if way.syntax == "":
        stored = instance.transfer_syntax
        return stored if stored in NATIVE_LITTLE_ENDIAN else EXPLICIT_LITTLE_ENDIAN
    return way.syntax if way.syntax in instance_syntaxes(instance) else ""


def _series_metadata(series: Series, access: Access) -> tuple[str, bytes]:
    """Name and bytes of the series' gzipped metadata, made on first use."""
    column = "metadata_blob" if access.sees_names else "metadata_blob_unnamed"
    name = getattr(series, column)
    if not name:
        rows = []
        for one in series.instances.order_by("number", "sop_uid").only(
            "series", "sop_uid", "metadata"
        ):
            row = one.metadata if access.sees_names else identity.unnamed(one.metadata)
            rows.append(rebased(row, f"instances/{one.sop_uid}/"))
        text = json.dumps(rows, separators=(",", ":")).encode()
        name = store().put(gzip.compress(text, compresslevel=6, mtime=0))
        # Only if nothing arrived meanwhile.
        Series.objects.filter(pk=series.pk, received_at=series.received_at).update(**{column: name})
    return name, store().read(name)


def _json(request: HttpRequest, body: bytes, kind: str) -> HttpResponseBase:
    return one_body(request, Held(body), kind, etag=etag_of(body), cache=REVALIDATE)
