"""What the asker accepts: media types, their parameters, and which of ours answers them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.http import HttpRequest

from backend.errors import ConcordError

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


class NotAcceptable(ConcordError):
    """Nothing of what the request accepts can be given here."""

    status = 406

    def __init__(self, possible: list[str]) -> None:
        super().__init__(
            "NOT_ACCEPTABLE",
            "None of the media types that the request accepts can be given here.",
            "Accept one of the possible types.",
            possible=possible,
        )


@dataclass(frozen=True)
class MediaRange:
    """One entry of an Accept header, lower case; parameters unquoted."""

    kind: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """The type of each part of multipart/related, "" if not said."""
        return self.parameters.get("type", "").lower()

    @property
    def syntax(self) -> str:
        """The transfer syntax asked for, "" if not said."""
        return self.parameters.get("transfer-syntax", "")


def accepted(request: HttpRequest) -> list[MediaRange]:
    """The media ranges the request accepts, the best first; `*/*` where it says nothing."""
    return media_ranges(request.GET.get("accept") or request.headers.get("Accept") or "*/*")


def media_ranges(header: str) -> list[MediaRange]:
    """The media ranges of an Accept header, the best first."""
    weighed = []
    for number, entry in enumerate(_split(header, ",")):
        kind, *rest = [p.strip() for p in _split(entry, ";")]
        pairs = (p.partition("=") for p in rest if p)
        parameters = {k.strip().lower(): v.strip().strip('"') for k, _, v in pairs}
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 0.0
        if kind and weight > 0:
            weighed.append((-weight, number, MediaRange(kind.lower(), parameters)))
    return [media for *_, media in sorted(weighed, key=lambda w: w[:2])]


def _split(text: str, separator: str) -> list[str]:
    """Split where the separator is not inside quotes."""
    parts, quoted = [""], False
    for character in text:
        if character == '"':
            quoted = not quoted
        if character == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def json_type(request: HttpRequest) -> str:
    """`application/dicom+json` or `application/json`; raises `NotAcceptable`."""
    return json_layout(accepted(request))


def json_layout(ranges: Iterable[MediaRange]) -> str:
    """The same for media ranges, the best first."""
    for media in ranges:
        if media.kind in ("*/*", "application/*", "application/dicom+json"):
            return "application/dicom+json"
        if media.kind == "application/json":
            return "application/json"
        if media.kind == "multipart/related" and media.part in ("application/dicom+json",):
            return "application/dicom+json"
    raise NotAcceptable(["application/dicom+json", "application/json"])


def bulk_is_multipart(request: HttpRequest, *, pieces: int) -> bool:
    """How uncompressed bytes go out: multipart or as one body; raises `NotAcceptable`."""
    return bulk_layout(accepted(request), pieces=pieces)


def bulk_layout(ranges: Iterable[MediaRange], *, pieces: int) -> bool:
    """The same for media ranges, the best first."""
    for media in ranges:
        if media.syntax not in ("", "*", EXPLICIT_LITTLE_ENDIAN):
            continue
        if media.kind in ("*/*", "multipart/*"):
            return True
        if media.kind == "multipart/related" and media.part in (
            "",
            "*/*",
            "application/octet-stream",
        ):
            return True
        if media.kind in ("application/octet-stream", "application/*") and pieces == 1:
            return False
    raise NotAcceptable(
        [
            'multipart/related; type="application/octet-stream"; transfer-syntax='
            f"{EXPLICIT_LITTLE_ENDIAN}",
            *(["application/octet-stream"] if pieces == 1 else []),
        ]
    )


@dataclass(frozen=True)
class DicomWanted:
    """How whole instances go out."""

    multipart: bool
    syntax: str  # "*", "" (not said) or a transfer syntax UID.


def dicom_wanted(request: HttpRequest, *, pieces: int) -> list[DicomWanted]:
    """The ways of sending Part 10 files the request accepts, the best first."""
    wanted = []
    for media in accepted(request):
        if media.kind in ("*/*", "multipart/*"):
            wanted.append(DicomWanted(True, media.syntax or "*"))
        elif media.kind == "multipart/related" and media.part in ("", "*/*", "application/dicom"):
            wanted.append(DicomWanted(True, media.syntax))
        elif media.kind in ("application/dicom", "application/*") and pieces == 1:
            wanted.append(DicomWanted(False, media.syntax))
    if not wanted:
        raise NotAcceptable(['multipart/related; type="application/dicom"; transfer-syntax=*'])
    return wanted


def image_format(request: HttpRequest) -> str:
    """`PNG` or `JPEG` for rendered images; raises `NotAcceptable`."""
    for media in accepted(request):
        if media.kind in ("*/*", "image/*", "image/png"):
            return "PNG"
        if media.kind in ("image/jpeg", "image/jpg"):
            return "JPEG"
    raise NotAcceptable(["image/png", "image/jpeg"])
