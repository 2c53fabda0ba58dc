"""A model as a folder: what model.json says, and whether the files are those it names. Pure.

Weights do not make a model alone: the same ones, shown another window or cut off at another
threshold, find other nodes. So the description has a hash of its own, which covers the files' too;
the lease names it, and a worker runs nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.jobs.plain_json import read_plain_json

COLUMNS = {"name": 120, "version": 40, "kind": 40}
"""The longest text of each that the database keeps of a model."""
LONGEST_FILE_NAME = 255
_SHA256 = re.compile(r"[0-9a-f]{64}")


def description_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 of all that a model.json says, whatever the order of its keys and its spacing."""
    text = json.dumps(_plain(manifest), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """The value with whole numbers as such: a database that keeps JSON may have made 1e22 of it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ModelDamaged(ValueError):
    """The model's files are not what its model.json names. Install its folder again."""


@dataclass(frozen=True)
class ModelFolder:
    """A model as a folder: `model.json` and the files it names with their SHA-256.

    Attributes:
        folder: name of the folder below `CONCORD_MODELS`.
        sha256: of the weights; of the list of files where there are no single weights.
        manifest: everything model.json says; `description` is its hash.
    """

    folder: str
    name: str
    version: str
    kind: str
    sha256: str
    notice: str
    manifest: dict[str, Any]

    @property
    def description(self) -> str:
        """The hash by which a whole description is known: see `description_hash`."""
        return description_hash(self.manifest)

    @property
    def named(self) -> dict[str, str]:
        """As a lease names it."""
        return {
            "folder": self.folder,
            "name": self.name,
            "version": self.version,
            "kind": self.kind,
            "sha256": self.sha256,
            "description": self.description,
        }


def read_model_folder(path: Path) -> ModelFolder:
    """Read a model folder and verify every file it names; raises `ModelDamaged`."""
    found = describe_model_folder(path)
    for file, expected in found.manifest["files"].items():
        _verify_file(path, file, expected)
    return found


def describe_model_folder(path: Path) -> ModelFolder:
    """Read a model folder's model.json and hash nothing; raises `ModelDamaged`."""
    try:
        manifest = read_plain_json((path / "model.json").read_text(encoding="utf-8"))
        files = _files(manifest)
        weights = _weights(manifest, files)
        name = _column(manifest, "name")
        version = _column(manifest, "version")
        kind = _column(manifest, "kind")
    except FileNotFoundError:
        raise ModelDamaged(
            f"There is no model in the folder {path.name}: model.json is missing. Install the "
            "model's folder there, then retry."
        ) from None
    except (OSError, ValueError) as error:
        raise ModelDamaged(
            f"model.json of {path.name} cannot be read ({error}). Install its folder again."
        ) from None
    listed = json.dumps(files, sort_keys=True, separators=(",", ":")).encode()
    return ModelFolder(
        folder=path.name,
        name=name,
        version=version,
        kind=kind,
        sha256=weights or hashlib.sha256(listed).hexdigest(),
        notice=str(manifest.get("notice") or manifest.get("intended_use") or ""),
        manifest=manifest,
    )


def _column(manifest: dict[str, Any], key: str) -> str:
    value, longest = manifest.get(key), COLUMNS[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise ValueError(f"{key} is not a text of 1 to {longest} characters")
    return value


def _files(manifest: dict[str, Any]) -> dict[str, str]:
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise ValueError("files is not an object that gives each file its SHA-256")
    for name, digest in files.items():
        if not name or len(name.encode()) > LONGEST_FILE_NAME:
            raise ValueError(f"files holds a name that is not 1 to {LONGEST_FILE_NAME} bytes long")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ValueError(f"files gives {name} no SHA-256 in lower-case hex")
    return files


def _weights(manifest: dict[str, Any], files: dict[str, str]) -> str | None:
    """The hash of the single file of weights; None where there is none."""
    weights = manifest.get("weights")
    if weights is None:
        return None if "weights" in manifest else files.get("weights.safetensors")
    if not isinstance(weights, str) or weights not in files:
        raise ValueError("weights is not the name of one of files")
    return files[weights]


def _verify_file(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelDamaged(f"model.json of {folder.name} names {name}, outside its folder.")
    if not path.is_file():
        raise ModelDamaged(
            f"{name} of the model {folder.name} is missing. Install its folder again."
        )
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ModelDamaged(
            f"{name} of the model {folder.name} is not the file that model.json names. "
            "Install its folder again."
        )
