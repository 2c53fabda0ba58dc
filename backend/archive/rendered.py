"""WADO-RS rendered and thumbnail: a frame as PNG or JPEG, windowed."""

from __future__ import annotations

import io
import warnings

import numpy as np
from django.http import HttpRequest, HttpResponse
from numpy.typing import NDArray
from PIL import Image

from backend.archive.accept import image_format
from backend.archive.access import Access, dicomweb
from backend.archive.models import Instance
from backend.archive.pixels import decode
from backend.archive.storing import read_dataset
from backend.archive.wado import IMMUTABLE
from backend.errors import BadInput, Missing

THUMBNAIL_PIXELS = 128
MAX_PIXELS = 4096
SOFT_TISSUE = (60.0, 350.0)


@dicomweb("GET")
def study_thumbnail(request: HttpRequest, access: Access, study: str) -> HttpResponse:
    """`GET /studies/{study}/thumbnail`: the middle image of its first image series."""
    series = access.series.filter(study=access.one_study(study))
    first = series.order_by("-is_image", "number", "uid").first()
    if first is None:
        raise Missing("image")
    return _thumbnail(request, _middle(first.instances.filter(frames__gt=0)))


@dicomweb("GET")
def series_thumbnail(request: HttpRequest, access: Access, study: str, series: str) -> HttpResponse:
    """`GET …/series/{series}/thumbnail`: its middle image."""
    found = access.one_series(study, series)
    return _thumbnail(request, _middle(found.instances.filter(frames__gt=0)))


@dicomweb("GET")
def instance_thumbnail(
    request: HttpRequest, access: Access, study: str, series: str, sop: str
) -> HttpResponse:
    """`GET …/instances/{sop}/thumbnail`."""
    return _thumbnail(request, access.one_instance(study, series, sop))


@dicomweb("GET")
def rendered(
    request: HttpRequest, access: Access, study: str, series: str, sop: str, number: str = "1"
) -> HttpResponse:
    """`GET …/instances/{sop}[/frames/{n}]/rendered?window=centre,width&viewport=w,h`."""
    if not number.isdecimal() or len(number) > 6:
        raise BadInput("BAD_FRAMES", "That is no frame number.", "Ask for one frame.")
    return _image(request, access.one_instance(study, series, sop), int(number) - 1, None)


def _middle(instances: object) -> Instance:
    found = list(
        instances.defer("metadata", "geometry").order_by("number", "sop_uid")  # type: ignore[attr-defined]
    )
    if not found:
        raise Missing("image")
    middle: Instance = found[len(found) // 2]
    return middle


def _thumbnail(request: HttpRequest, instance: Instance) -> HttpResponse:
    return _image(request, instance, instance.frames // 2, THUMBNAIL_PIXELS)


def _image(request: HttpRequest, instance: Instance, index: int, side: int | None) -> HttpResponse:
    if not 0 <= index < instance.frames:
        raise Missing("frame")
    kind = image_format(request)
    picture = Image.fromarray(_grey_or_colour(instance, index, _numbers(request, "window", 2)))
    if side is not None:
        picture.thumbnail((side, side))
    elif size := _numbers(request, "viewport", 2):
        width, height = (max(1, int(min(side, MAX_PIXELS))) for side in size)
        picture.thumbnail((width, height))
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return HttpResponse(
        buffer.getvalue(),
        content_type=f"image/{kind.lower()}",
        headers={"Cache-Control": IMMUTABLE, "Vary": "Accept"},
    )


def _numbers(request: HttpRequest, name: str, count: int) -> list[float] | None:
    if name not in request.GET:
        return None
    try:
        numbers = [float(v) for v in request.GET[name].split(",")[:count]]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(np.isfinite(numbers)) or numbers[1] <= 0:
        raise BadInput("BAD_PARAMETER", f"{name} needs {count} numbers.", f"Send {name}=60,350.")
    return numbers


def _grey_or_colour(
    instance: Instance, index: int, window: list[float] | None
) -> NDArray[np.uint8]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = read_dataset(instance)
        array = decode(dataset, index)
    if array.ndim == 3:
        return np.ascontiguousarray(array, np.uint8)
    pixels = instance.pixels
    values = array.astype(np.float64) * pixels["slope"] + pixels["intercept"]
    centre, width = window or _window(dataset, values)
    low = centre - width / 2
    shown: NDArray[np.float64] = np.clip((values - low) / width * 255, 0, 255)
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 255 - shown
    return shown.astype(np.uint8)


def _window(dataset: object, values: NDArray[np.float64]) -> tuple[float, float]:
    """The image's own window, else soft tissue for CT, else all values."""
    try:
        centre, width = dataset.WindowCenter, dataset.WindowWidth  # type: ignore[attr-defined]
        if not isinstance(centre, (int, float)):
            centre, width = centre[0], width[0]
        if float(width) > 0:
            return float(centre), float(width)
    except (AttributeError, TypeError, ValueError, IndexError):
        if getattr(dataset, "Modality", "") == "CT":
            return SOFT_TISSUE
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2, max(high - low, 1.0)
