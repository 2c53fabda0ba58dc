"""A frame as a picture: modality values, window, palette or colour, cut and scaled."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi

from backend.archive.models import Instance
from backend.archive.pixels import decode, stored_values
from backend.archive.storing import read_dataset
from backend.archive.volume import native_frame
from backend.errors import BadInput
from backend.imaging.dicom import value_of

MAX_SIDE = 4096
# Modality LUT, VOI LUT and palettes: tables that metadata give by reference.
_TABLES = frozenset({"00283000", "00283010", "00281101", "00281201", "00281221"})
SOFT_TISSUE = (60.0, 350.0)
QUALITY = 90
FUNCTIONS = ("linear", "linear-exact", "sigmoid")


@dataclass(frozen=True)
class Window:
    """Centre and width in modality values (HU in CT), and the function of PS3.3 C.11.2.1."""

    centre: float
    width: float
    function: str = "linear"

    def grey(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values as 0 to 255."""
        centre, width = self.centre, self.width
        if self.function == "sigmoid":
            exponent = np.clip(-4 * (values - centre) / width, -700, 700)
            return np.asarray(255 / (1 + np.exp(exponent)))
        if self.function == "linear":
            centre, width = centre - 0.5, width - 1
        if width <= 0:
            return np.where(values > centre, 255.0, 0.0)
        return np.clip(((values - centre) / width + 0.5) * 255, 0, 255)


@dataclass(frozen=True)
class Picture:
    """How a frame is to be drawn.

    Attributes:
        window: None for the image's own.
        size: width and height it must fit into, pixels; None for as it is.
        region: left, top, width, height of the part shown, pixels of the frame; None for all. A
            negative width or height mirrors.
        quality: of a JPEG, 1 to 100.
    """

    window: Window | None = None
    size: tuple[int, int] | None = None
    region: tuple[float, float, float, float] | None = None
    quality: int = QUALITY

    @classmethod
    def asked_for(cls, query: Mapping[str, str]) -> Picture:
        """From `window`, `viewport` and `quality`; raises `BadInput`."""
        size, region = _viewport(query.get("viewport", ""))
        return cls(_window(query.get("window", "")), size, region, _quality(query.get("quality")))

    def at_most(self, side: int) -> Picture:
        """The same in a square of so many pixels."""
        return replace(self, size=(side, side))


def picture_of(instance: Instance, index: int, picture: Picture, kind: str) -> bytes:
    """Frame `index` (from 0) as the bytes of a PNG or JPEG file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shown = Image.fromarray(_shown(*_frame(instance, index), index, picture.window))
    if picture.region is not None:
        shown = _cut(shown, picture.region)
    if picture.size is not None:
        scale = min(picture.size[0] / shown.width, picture.size[1] / shown.height)
        sides = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
        if sides != shown.size:
            shown = shown.resize(sides, Image.Resampling.LANCZOS if scale < 1 else 2)
    buffer = io.BytesIO()
    shown.save(buffer, kind, **({"quality": picture.quality} if kind == "JPEG" else {}))
    return buffer.getvalue()


def _frame(instance: Instance, index: int) -> tuple[Dataset, NDArray[Any]]:
    """Header and stored values of one frame; cut out of the file where that is all it takes."""
    facts = instance.pixels
    plain = facts["samples"] == 1 and facts["bits_allocated"] in (8, 16)
    data = native_frame(instance, index) if plain else None
    if data is None or _TABLES & instance.metadata.keys():
        dataset = read_dataset(instance)
        return dataset, decode(dataset, index)
    header = Dataset.from_json(instance.metadata, lambda tag, vr, uri: None)
    if facts["bits_allocated"] == 16:
        return header, stored_values(data, facts)
    array = np.frombuffer(data, np.int8 if facts["signed"] else np.uint8)
    return header, array.reshape(facts["rows"], facts["columns"])


def _shown(
    dataset: Dataset, array: NDArray[Any], index: int, window: Window | None
) -> NDArray[np.uint8]:
    """Grey (rows, columns) or colour (rows, columns, 3), 0 to 255."""
    palette = value_of(dataset, "PhotometricInterpretation") == "PALETTE COLOR"
    if palette and "RedPaletteColorLookupTableDescriptor" in dataset:
        array = apply_color_lut(array, dataset)
        return _eight_bits(array)
    if array.ndim == 3:
        return _eight_bits(array)
    values = _modality_values(dataset, index, array)
    grey = _own_grey(dataset, index, values) if window is None else window.grey(values)
    if value_of(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        grey = 255 - grey
    return np.rint(grey).astype(np.uint8)


def _eight_bits(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype.itemsize > 1:
        array = array.astype(np.uint16) >> 8
    return np.ascontiguousarray(array, np.uint8)


def _modality_values(dataset: Dataset, index: int, array: NDArray[Any]) -> NDArray[np.float64]:
    if value_of(dataset, "ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(array, dataset), np.float64)
    values = array.astype(np.float64)
    slope = of_frame(dataset, index, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = of_frame(dataset, index, "PixelValueTransformationSequence", "RescaleIntercept")
    return values * (_number(slope) or 1.0) + (_number(intercept) or 0.0)


def _own_grey(dataset: Dataset, index: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """By the frame's own window or table; else soft tissue for CT, else all its values."""
    centre = _number(of_frame(dataset, index, "FrameVOILUTSequence", "WindowCenter"))
    width = _number(of_frame(dataset, index, "FrameVOILUTSequence", "WindowWidth"))
    if centre is not None and width is not None and width >= 1:
        function = str(of_frame(dataset, index, "FrameVOILUTSequence", "VOILUTFunction") or "")
        function = function.strip().lower().replace("_", "-")
        return Window(centre, width, function if function in FUNCTIONS else "linear").grey(values)
    if value_of(dataset, "VOILUTSequence"):
        try:
            looked_up = np.asarray(apply_voi(values.astype(np.int32), dataset), np.float64)
            return _stretched(looked_up)
        except (ValueError, AttributeError, IndexError, NotImplementedError):
            return _stretched(values)
    if value_of(dataset, "Modality") == "CT":
        return Window(*SOFT_TISSUE).grey(values)
    return _stretched(values)


def _stretched(values: NDArray[np.float64]) -> NDArray[np.float64]:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(finite.min()), float(finite.max())
    return (finite - low) / (max(high - low, 1e-12)) * 255


def of_frame(dataset: Dataset, index: int, sequence: str, keyword: str) -> Any:
    """A value of one frame: from its own functional group, the shared one, or the data set."""
    groups = value_of(dataset, "PerFrameFunctionalGroupsSequence") or []
    shared = value_of(dataset, "SharedFunctionalGroupsSequence") or []
    for holder in (*groups[index : index + 1], *shared[:1]):
        items = value_of(holder, sequence)
        if items and keyword in items[0]:
            return value_of(items[0], keyword)
    return value_of(dataset, keyword)


def _number(value: Any) -> float | None:
    """The first number of a value, None where it is none."""
    try:
        if not isinstance(value, (str, int, float)):
            value = value[0]
        number = float(value)
    except (TypeError, ValueError, IndexError):
        return None
    return number if np.isfinite(number) else None


def _cut(shown: Image.Image, region: tuple[float, float, float, float]) -> Image.Image:
    left, top, width, height = region
    box = (left, top, left + (abs(width) or shown.width), top + (abs(height) or shown.height))
    box = (
        max(0, min(int(box[0]), shown.width - 1)),
        max(0, min(int(box[1]), shown.height - 1)),
        max(1, min(int(np.ceil(box[2])), shown.width)),
        max(1, min(int(np.ceil(box[3])), shown.height)),
    )
    shown = shown.crop((box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1)))
    if width < 0:
        shown = shown.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return shown.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if height < 0 else shown


def _window(text: str) -> Window | None:
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    function = parts[2].lower() if len(parts) > 2 else "linear"
    numbers = _numbers("window", parts[:2], "window=60,350,linear")
    if len(parts) > 3 or len(numbers) != 2 or numbers[1] <= 0 or function not in FUNCTIONS:
        raise _bad("window", f"window=60,350,linear; functions are {', '.join(FUNCTIONS)}")
    return Window(numbers[0], numbers[1], function)


def _viewport(
    text: str,
) -> tuple[tuple[int, int] | None, tuple[float, float, float, float] | None]:
    """Size and region of `vw,vh[,sx,sy,sw,sh]`; empty parts of the region mean all of it."""
    if not text:
        return None, None
    example = "viewport=512,512 or viewport=512,512,0,0,256,256"
    parts = text.split(",")
    numbers = _numbers("viewport", [part.strip() or "0" for part in parts], example)
    if len(numbers) not in (2, 6) or numbers[0] < 1 or numbers[1] < 1:
        raise _bad("viewport", example)
    size = (int(min(numbers[0], MAX_SIDE)), int(min(numbers[1], MAX_SIDE)))
    if len(numbers) == 2:
        return size, None
    left, top, width, height = (float(np.clip(n, -1e6, 1e6)) for n in numbers[2:])
    return size, (max(left, 0.0), max(top, 0.0), width, height)


def _quality(text: str | None) -> int:
    if not text:
        return QUALITY
    if not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= 100:
        raise _bad("quality", "quality=90, from 1 to 100")
    return int(text)


def _numbers(name: str, parts: list[str], example: str) -> list[float]:
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        raise _bad(name, example) from None
    if not all(np.isfinite(numbers)):
        raise _bad(name, example)
    return numbers


def _bad(name: str, example: str) -> BadInput:
    return BadInput("BAD_PARAMETER", f"{name} cannot be understood.", f"Send {example}.")
