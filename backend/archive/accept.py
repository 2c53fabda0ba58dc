"""What the asker accepts: media types, their parameters, and which of ours answers them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.http import HttpRequest

from backend.errors import ConcordError

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
OCTETS = "application/octet-stream"
_IMAGES = {
    "*/*": "PNG",
    "image/*": "PNG",
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/jpg": "JPEG",
}
# Media types of compressed frames and the transfer syntaxes they carry (PS3.18 8.7.3.3).
FRAME_TYPES = {
    "image/jphc": (HTJ2K_LOSSLESS, "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"),
    "image/jls": ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"),
    "image/jp2": ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"),
    "image/jpeg": (
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51",
        "1.2.840.10008.1.2.4.57",
    ),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
}


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


@dataclass(frozen=True)
class BulkWanted:
    """One way of sending frames or bulk values that the request accepts.

    Attributes:
        multipart: multipart/related, else one body.
        kind: the media type of each part, "" for any.
        syntax: "" (not said), "*" or a transfer syntax UID.
    """

    multipart: bool
    kind: str
    syntax: str

    @property
    def is_plain(self) -> bool:
        """Whether uncompressed little-endian bytes answer it."""
        return self.kind in ("", OCTETS) and self.syntax in ("", "*", EXPLICIT_LITTLE_ENDIAN)


def bulk_wanted(ranges: Iterable[MediaRange], *, pieces: int) -> list[BulkWanted]:
    """The ways of sending frames or bulk values the ranges accept, the best first."""
    wanted = []
    for media in ranges:
        if media.kind in ("*/*", "multipart/*"):
            wanted.append(BulkWanted(True, "", media.syntax))
        elif media.kind == "multipart/related":
            kind = "" if media.part in ("", "*/*") else media.part
            wanted.append(BulkWanted(True, kind, media.syntax))
        elif pieces == 1:
            kind = OCTETS if media.kind == "application/*" else media.kind
            wanted.append(BulkWanted(False, kind, media.syntax))
    return wanted


def bulk_layout(ranges: Iterable[MediaRange], *, pieces: int) -> bool:
    """Whether uncompressed bytes go out as multipart; raises `NotAcceptable`.

    It raises too where the ranges would rather have something compressed: frames then have to be
    looked at.
    """
    wanted = bulk_wanted(ranges, pieces=pieces)
    if not wanted or not wanted[0].is_plain:
        raise NotAcceptable(_plain_forms(pieces))
    return wanted[0].multipart


def bulk_is_multipart(request: HttpRequest, *, pieces: int) -> bool:
    """How bulk values, which are never compressed here, go out; raises `NotAcceptable`."""
    for way in bulk_wanted(accepted(request), pieces=pieces):
        if way.is_plain:
            return way.multipart
    raise NotAcceptable(_plain_forms(pieces))


def frame_syntax(way: BulkWanted, givable: Sequence[str]) -> str | None:
    """The transfer syntax that answers a way of sending frames, None where none does.

    Args:
        way: what is accepted.
        givable: the transfer syntaxes the frames can be given in; the stored one first.
    """
    if way.is_plain:
        return EXPLICIT_LITTLE_ENDIAN
    if way.syntax not in ("", "*"):
        fits = way.kind in ("", OCTETS) or way.syntax in FRAME_TYPES.get(way.kind, ())
        return way.syntax if fits and way.syntax in givable else None
    of_kind = FRAME_TYPES.get(way.kind, ())
    return next((s for s in givable if s in of_kind), None)


def frame_type(syntax: str) -> str:
    """The media type of one frame in a transfer syntax, with the syntax as its parameter."""
    kind = next((k for k, syntaxes in FRAME_TYPES.items() if syntax in syntaxes), OCTETS)
    return f"{kind}; transfer-syntax={syntax}"


def frame_forms(givable: Sequence[str], pieces: int) -> list[str]:
    """What a request for frames may accept, to be told with a 406."""
    forms = _plain_forms(pieces)
    for syntax in givable:
        kind = frame_type(syntax).partition(";")[0]
        if kind != OCTETS:
            forms.append(f'multipart/related; type="{kind}"; transfer-syntax={syntax}')
    return forms


def _plain_forms(pieces: int) -> list[str]:
    syntax = f"transfer-syntax={EXPLICIT_LITTLE_ENDIAN}"
    several = f'multipart/related; type="{OCTETS}"; {syntax}'
    return [several, OCTETS] if pieces == 1 else [several]


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


@dataclass(frozen=True)
class ImageWanted:
    """How rendered images go out: `PNG` or `JPEG`, in one body or in parts."""

    multipart: bool
    format: str


def image_wanted(request: HttpRequest, *, pieces: int) -> ImageWanted:
    """How rendered images go out; raises `NotAcceptable`.

    One image is one body unless parts are asked for; several always are parts.
    """
    for media in accepted(request):
        if media.kind in ("multipart/*", "multipart/related"):
            if (found := _IMAGES.get(media.part or "*/*")) is not None:
                return ImageWanted(True, found)
        elif (found := _IMAGES.get(media.kind)) and (pieces == 1 or media.kind == "*/*"):
            return ImageWanted(pieces > 1, found)
    kinds = ["image/png", "image/jpeg"]
    several = [f'multipart/related; type="{kind}"' for kind in kinds]
    raise NotAcceptable([*kinds, *several] if pieces == 1 else several)
