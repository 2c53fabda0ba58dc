"""WADO-RS: instances, metadata, frames and bulk values; and a series as one volume."""

from __future__ import annotations

import gzip
import io
import json
import warnings
from collections.abc import Iterator

import pydicom
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotModified
from pydicom.uid import UID

from backend.archive import grants, identity
from backend.archive.accept import (
    EXPLICIT_LITTLE_ENDIAN,
    DicomWanted,
    NotAcceptable,
    accepted,
    bulk_is_multipart,
    dicom_wanted,
    json_type,
)
from backend.archive.access import Access, dicomweb
from backend.archive.metadata import bulk_value, rebased
from backend.archive.models import Instance, Series
from backend.archive.pixels import NATIVE_LITTLE_ENDIAN, raw_frame
from backend.archive.storing import read_dataset
from backend.archive.stow import store_request as stow
from backend.archive.streaming import Multipart, streamed
from backend.archive.volume import native_frame, volume_parts
from backend.errors import BadInput, Missing
from backend.jobs.protocol import VOLUME_MEDIA_TYPE
from backend.store import store

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
MAX_FRAMES_AT_ONCE = 1000


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
        return _volume(request, found)
    return _instances(request, access, _ordered(found.instances.all()))


@dicomweb("GET")
def instance(
    request: HttpRequest, access: Access, study: str, series: str, sop: str
) -> HttpResponseBase:
    """`GET …/instances/{sop}`."""
    return _instances(request, access, [access.one_instance(study, series, sop)])


@dicomweb("GET")
def study_metadata(request: HttpRequest, access: Access, study: str) -> HttpResponse:
    """`GET /studies/{study}/metadata`."""
    kind = json_type(request)
    found = access.one_study(study)
    answer = []
    for one in access.series.filter(study=found).order_by("number", "uid"):
        for row in json.loads(gzip.decompress(_series_metadata(one, access)[1])):
            answer.append(rebased(row, f"series/{one.uid}/"))
    return _json(json.dumps(answer).encode(), kind)


@dicomweb("GET")
def series_metadata(request: HttpRequest, access: Access, study: str, series: str) -> HttpResponse:
    """`GET …/series/{series}/metadata`: gzipped once, kept, sent as it is."""
    kind = json_type(request)
    name, packed = _series_metadata(access.one_series(study, series), access)
    etag = f'"{name}"'
    grants.allow(request, request.path, grants.Document(name, etag))
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers={"ETag": etag, "Cache-Control": REVALIDATE})
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response = _json(packed, kind)
        response["Content-Encoding"] = "gzip"
    else:
        response = _json(gzip.decompress(packed), kind)
    response["ETag"] = etag
    response["Vary"] = "Accept-Encoding"
    return response


@dicomweb("GET")
def instance_metadata(
    request: HttpRequest, access: Access, study: str, series: str, sop: str
) -> HttpResponse:
    """`GET …/instances/{sop}/metadata`."""
    kind = json_type(request)
    metadata = access.one_instance(study, series, sop).metadata
    shown = metadata if access.sees_names else identity.unnamed(metadata)
    return _json(json.dumps([shown]).encode(), kind)


@dicomweb("GET")
def frames(
    request: HttpRequest, access: Access, study: str, series: str, sop: str, numbers: str
) -> HttpResponse:
    """`GET …/frames/{1,2,…}`: uncompressed little-endian pixels."""
    wanted = _frame_numbers(numbers)
    found = access.one_instance(study, series, sop)
    if not found.frames or max(wanted) > found.frames:
        raise Missing("frame")
    multipart = bulk_is_multipart(request, pieces=len(wanted))
    etag = f'"{found.blob}-{numbers}-{"m" if multipart else "s"}"'
    headers = {"ETag": etag, "Cache-Control": IMMUTABLE, "Vary": "Accept"}
    if request.headers.get("If-None-Match") == etag:
        return HttpResponseNotModified(headers=headers)
    grants.allow_frames(request, found, root=access.root, user=access.user)
    pieces = frame_bytes(found, [n - 1 for n in wanted])
    return _octets(list(pieces), multipart=multipart, headers=headers)


@dicomweb("GET")
def bulkdata(
    request: HttpRequest, access: Access, study: str, series: str, sop: str, path: str
) -> HttpResponse:
    """`GET …/bulkdata/{path}`: what a BulkDataURI of the metadata leads to."""
    found = access.one_instance(study, series, sop)
    tags = path.upper().split("/")[::2]
    if not all(len(t) == 8 and set(t) <= set("0123456789ABCDEF") for t in tags):
        raise Missing("value")
    if not access.sees_names and any(identity.is_hidden(tag) for tag in tags):
        raise Missing("value")
    multipart = bulk_is_multipart(request, pieces=1)
    if path.upper() == "7FE00010" and found.frames:
        value: bytes | None = b"".join(frame_bytes(found, range(found.frames)))
    else:
        value = bulk_value(read_dataset(found), path)
    if value is None:
        raise Missing("value")
    headers = {"ETag": f'"{found.blob}-{path}"', "Cache-Control": IMMUTABLE, "Vary": "Accept"}
    return _octets([value], multipart=multipart, headers=headers)


def frame_bytes(instance: Instance, indexes: list[int] | range) -> Iterator[bytes]:
    """Uncompressed little-endian bytes of frames (from 0)."""
    dataset = None
    for index in indexes:
        data = native_frame(instance, index)
        if data is None:
            if dataset is None:
                dataset = read_dataset(instance)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                data = raw_frame(dataset, index)
        yield data


def _frame_numbers(text: str) -> list[int]:
    numbers = [int(n) for n in text.split(",") if n.isdecimal() and len(n) < 7]
    if len(numbers) != text.count(",") + 1 or min(numbers) < 1:
        raise BadInput("BAD_FRAMES", f"{text[:40]} is no list of frames.", "Send 1, or 1,2,3.")
    if len(numbers) > MAX_FRAMES_AT_ONCE:
        raise BadInput(
            "TOO_MANY_FRAMES", f"{len(numbers)} frames at once.", f"Ask for {MAX_FRAMES_AT_ONCE}."
        )
    return numbers


def _octets(pieces: list[bytes], *, multipart: bool, headers: dict[str, str]) -> HttpResponse:
    kind = f"application/octet-stream; transfer-syntax={EXPLICIT_LITTLE_ENDIAN}"
    if not multipart:
        return HttpResponse(pieces[0], content_type=kind, headers=headers)
    message = Multipart(kind)
    body = b"".join([*(message.around(p) for p in pieces), message.end])
    return HttpResponse(body, content_type=message.content_type, headers=headers)


def _volume(request: HttpRequest, series: Series) -> HttpResponseBase:
    length, parts = volume_parts(series)
    response = streamed(request, parts, VOLUME_MEDIA_TYPE, length)
    response["ETag"] = f'"{series.geometry_hash}"'
    response["Cache-Control"] = REVALIDATE
    return response


def _ordered(instances: object) -> list[Instance]:
    found = instances.defer("metadata", "geometry")  # type: ignore[attr-defined]
    return list(found.order_by("series__number", "series__uid", "number", "sop_uid"))


def _instances(request: HttpRequest, access: Access, instances: list[Instance]) -> HttpResponseBase:
    """Part 10 files, one part each, streamed; as stored where the request lets them be."""
    ways = dicom_wanted(request, pieces=len(instances))
    way = next((w for w in ways if all(_can_give(i, w.syntax) for i in instances)), None)
    if way is None:
        raise NotAcceptable(
            [
                'multipart/related; type="application/dicom"; transfer-syntax=*',
                f'multipart/related; type="application/dicom"; '
                f"transfer-syntax={EXPLICIT_LITTLE_ENDIAN}",
            ]
        )

    def files(chosen: DicomWanted) -> Iterator[tuple[str, bytes]]:
        for one in instances:
            decode = _must_decode(one, chosen.syntax)
            syntax = EXPLICIT_LITTLE_ENDIAN if decode else one.transfer_syntax
            data = part10(one, decode=decode, named=access.sees_names)
            yield f"application/dicom; transfer-syntax={syntax}", data

    if not way.multipart:
        kind, data = next(files(way))
        return HttpResponse(data, content_type=kind)
    message = Multipart("application/dicom")
    return streamed(request, message.stream(files(way)), message.content_type)


def _can_give(instance: Instance, syntax: str) -> bool:
    return syntax in ("*", "", EXPLICIT_LITTLE_ENDIAN, instance.transfer_syntax)


def _must_decode(instance: Instance, syntax: str) -> bool:
    """Little-endian files go out as they are unless explicit VR was asked for by name."""
    if syntax in ("*", instance.transfer_syntax):
        return False
    if syntax == "":
        return instance.transfer_syntax not in NATIVE_LITTLE_ENDIAN
    return True


def part10(instance: Instance, *, decode: bool, named: bool) -> bytes:
    """The instance as a file: as stored, or uncompressed; without the patient if not `named`."""
    if named and not decode:
        return store().read(instance.blob)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = read_dataset(instance)
        if not named:
            identity.blank(dataset)
        if decode:
            if instance.pixel_offset is None and instance.frames and "PixelData" in dataset:
                frames = b"".join(frame_bytes(instance, range(instance.frames)))
                dataset.PixelData = frames + b"\x00" * (len(frames) % 2)
                dataset["PixelData"].VR = "OB" if dataset.BitsAllocated <= 8 else "OW"
                dataset["PixelData"].is_undefined_length = False
                if dataset.SamplesPerPixel == 3:
                    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
            dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE_ENDIAN)
        buffer = io.BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
        return buffer.getvalue()


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


def _json(body: bytes, kind: str) -> HttpResponse:
    return HttpResponse(body, content_type=kind, headers={"Cache-Control": REVALIDATE})
