"""The files of models on this server's disk: which folders there are, what their hashes are."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from backend.errors import BadInput, is_text
from backend.jobs.model_description import ModelDamaged, describe_model_folder

PIECE_BYTES = 4 << 20
# What a card may show: pictures that run nothing.
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
MAX_PICTURE_BYTES = 16 << 20
LONGEST_FOLDER_NAME = 200
CARD = "CARD.md"
MAX_CARD_BYTES = 1 << 20


@dataclass(frozen=True)
class Checked:
    """What was found of one file: `verified`, `mismatch` or `missing`; `sha256` as it is."""

    name: str
    state: str
    sha256: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """As the model keeps it."""
        return {"state": self.state, "sha256": self.sha256, "bytes": self.bytes}


def model_root() -> Path:
    """`CONCORD_MODELS` of this process."""
    return Path(settings.MODELS).resolve()


def folder_named(name: str) -> Path:
    """The folder of that name right below `CONCORD_MODELS`.

    Raises:
        BadInput: for any other address: a path, a link that leads out, a name of nothing.
    """
    root = model_root()
    if (
        not 0 < len(name) <= LONGEST_FOLDER_NAME
        or name in {".", ".."}
        or Path(name).name != name
        or not is_text(name)
    ):
        raise BadInput(
            "NO_SUCH_FOLDER",
            "That is not the name of a folder below CONCORD_MODELS.",
            "Choose one from the list.",
        )
    folder = root / name
    if not folder.is_dir() or folder.resolve().parent != root:
        raise BadInput(
            "NO_SUCH_FOLDER",
            f"There is no folder {name} below CONCORD_MODELS on this server.",
            "Put the model's folder there, then register it.",
        )
    return folder


def folders_with_models() -> list[str]:
    """Names of the folders below `CONCORD_MODELS` that hold a model.json."""
    root = model_root()
    if not root.is_dir():
        return []
    found = (path.parent for path in root.glob("*/model.json"))
    return sorted(folder.name for folder in found if folder.resolve().parent == root)


def put_shipped_models() -> list[Path]:
    """Folders of the models that come with Concord, below `CONCORD_MODELS`, as they are shipped.

    Raises:
        BadInput: one is not there as it is shipped, and cannot be written.
    """
    return [_put(found.parent) for found in sorted(settings.SHIPPED_MODELS.glob("*/model.json"))]


def _put(shipped: Path) -> Path:
    folder = model_root() / shipped.name
    described = folder / "model.json"
    # It names the hash of every other file, and those are checked when the model is registered.
    if described.is_file() and described.read_bytes() == (shipped / "model.json").read_bytes():
        return folder
    try:
        shutil.copytree(shipped, folder, dirs_exist_ok=True)
    except OSError as error:
        raise BadInput(
            "MODELS_NOT_WRITABLE",
            f"The model {shipped.name} cannot be put into {model_root()}: {error}.",
            f"Copy {shipped} there, or let this process write there.",
        ) from error
    return folder


def check_file(
    folder: Path, name: str, expected: str, go_on: Callable[[int], None] = lambda _: None
) -> Checked:
    """Hash one file of a model; `go_on` is told the bytes of each piece that was read."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        return Checked(name, "missing", "", 0)
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
            size += len(piece)
            go_on(len(piece))
    found = digest.hexdigest()
    return Checked(name, "verified" if found == expected else "mismatch", found, size)


def size_of(folder: Path, names: list[str]) -> int:
    """Bytes of the files that are there, together."""
    paths = (folder / name for name in names)
    return sum(path.stat().st_size for path in paths if path.is_file())


def fault_of(folder: str, checked: list[Checked]) -> str:
    """What is wrong with the files, and the cure, as sentences; "" when nothing is."""
    for file in checked:
        if file.state == "verified":
            continue
        what = (
            "is missing"
            if file.state == "missing"
            else f"is not the file that was registered (its SHA-256 begins {file.sha256[:12]})"
        )
        return (
            f"{file.name} of the model in {folder} {what}. Put the registered file back into that "
            "folder below CONCORD_MODELS and verify again, or register the changed model in a "
            "folder of its own."
        )
    return ""


def manifest_fault(folder: Path, manifest: dict[str, Any]) -> str:
    """Whether model.json still says what was registered; a sentence with the cure, or ""."""
    try:
        now = describe_model_folder(folder).manifest
    except ModelDamaged as damaged:
        return str(damaged)
    if now == manifest:
        return ""
    return (
        f"model.json of {folder.name} is not the one that was registered. Put the registered one "
        "back and verify again, or register the changed model in a folder of its own."
    )


def card_of(folder: str) -> str | None:
    """The text of a model's card; None where it has none that can be read."""
    path = model_root() / Path(folder).name / CARD
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def picture_of(folder: str, name: str, files: dict[str, str]) -> tuple[bytes, str] | None:
    """Bytes and media type of a picture of a model's card; None for anything else.

    A picture that model.json names is shown only while its hash is that.
    """
    root = model_root() / Path(folder).name
    path = root / name
    media = PICTURES.get(path.suffix.lower())
    if media is None or "\0" in name or not path.resolve().is_relative_to(root.resolve()):
        return None
    if not path.is_file() or path.stat().st_size > MAX_PICTURE_BYTES:
        return None
    data = path.read_bytes()
    if name in files and hashlib.sha256(data).hexdigest() != files[name]:
        return None
    return data, media
