"""WADO-URI, for clients older than DICOMweb: `GET /wado?requestType=WADO&studyUID=…`."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase

from backend.archive.accept import EXPLICIT_LITTLE_ENDIAN, NotAcceptable, media_ranges
from backend.archive.access import Access, dicomweb
from backend.archive.bodies import REVALIDATE, Held, etag_of, one_body
from backend.archive.models import Instance
from backend.archive.pictures import Picture, Window, picture_of
from backend.archive.pixels import NATIVE_LITTLE_ENDIAN
from backend.archive.transcoding import instance_syntaxes
from backend.archive.wado import frame_numbers, one_file
from backend.errors import BadInput, Missing

_PICTURES = {"image/jpeg": "JPEG", "image/jpg": "JPEG", "image/png": "PNG"}
_EXAMPLE = (
    "Send requestType=WADO, studyUID, seriesUID and objectUID, and contentType=application/dicom, "
    "image/jpeg or image/png."
)


@dicomweb("GET")
def retrieve(request: HttpRequest, access: Access) -> HttpResponseBase:
    """One object as a file or a picture (PS3.18 section 9)."""
    asked = request.GET
    if asked.get("requestType") != "WADO":
        raise BadInput("BAD_PARAMETER", "requestType is not WADO.", _EXAMPLE)
    uids = [asked.get(name, "") for name in ("studyUID", "seriesUID", "objectUID")]
    if not all(uids):
        raise BadInput("BAD_PARAMETER", "One of the three UIDs is not there.", _EXAMPLE)
    found = access.one_instance(*uids)
    for kind in _content_types(request, found):
        if kind == "application/dicom":
            return one_file(request, access, found, _syntax(request, found))
        if kind in _PICTURES and found.frames:
            return _picture(request, found, kind)
    raise NotAcceptable(["application/dicom", *(_PICTURES if found.frames else [])])


def _content_types(request: HttpRequest, instance: Instance) -> list[str]:
    """What the request wants, the best first; by default a JPEG of what has one frame."""
    usual = "image/jpeg" if instance.frames == 1 else "application/dicom"
    ranges = media_ranges(request.GET.get("contentType") or "*/*")
    return [usual if m.kind in ("*/*", "image/*") else m.kind for m in ranges]


def _syntax(request: HttpRequest, instance: Instance) -> str:
    wanted = request.GET.get("transferSyntax", "")
    if wanted in instance_syntaxes(instance):
        return wanted
    native = instance.transfer_syntax in NATIVE_LITTLE_ENDIAN
    return instance.transfer_syntax if native else EXPLICIT_LITTLE_ENDIAN


def _picture(request: HttpRequest, instance: Instance, kind: str) -> HttpResponseBase:
    asked = request.GET
    index = frame_numbers(asked.get("frameNumber", "1"))[0] - 1
    if index >= instance.frames:
        raise Missing("frame")
    facts = instance.pixels
    columns = _number(request, "columns", 0)
    rows = _number(request, "rows", 0)
    size = (int(columns or 4096), int(rows or 4096)) if columns or rows else None
    region = None
    if asked.get("region"):
        left, top, right, bottom = _region(asked["region"])
        width, height = facts["columns"], facts["rows"]
        region = (left * width, top * height, (right - left) * width, (bottom - top) * height)
    window = None
    if "windowCenter" in asked or "windowWidth" in asked:
        window = Window(_number(request, "windowCenter"), _number(request, "windowWidth", 1))
    quality = int(_number(request, "imageQuality", 0) or 90)
    picture = Picture(window, size, region, min(quality, 100))
    data = picture_of(instance, index, picture, _PICTURES[kind])
    return one_body(request, Held(data), kind, etag=etag_of(data), cache=REVALIDATE)


def _number(request: HttpRequest, name: str, least: float | None = None) -> float:
    text = request.GET.get(name, "0" if least == 0 else "")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not -1e6 <= number <= 1e6 or (least is not None and number < least):
        raise BadInput("BAD_PARAMETER", f"{name} cannot be understood.", "Send a number.")
    return min(number, 4096.0) if name in ("rows", "columns") else number


def _region(text: str) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(part) for part in text.split(","))
    except ValueError:
        left = top = right = bottom = float("nan")
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise BadInput(
            "BAD_PARAMETER", "region cannot be understood.", "Send region=0,0,0.5,0.5, from 0 to 1."
        )
    return left, top, right, bottom
