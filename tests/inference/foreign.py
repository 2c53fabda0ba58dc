"""Model folders of the fixtures, copied and changed, some into what a villain would send."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "models"
TORCHSCRIPT, BUNDLE, NNUNET = (
    FIXTURES / name for name in ("tiny-torchscript", "tiny-bundle", "tiny-nnunet")
)


def copied(source: Path, root: Path, name: str | None = None) -> Path:
    """A copy of a model folder, under another name if one is given."""
    folder = root / (name or source.name)
    shutil.copytree(source, folder)
    described(folder, lambda said: said.update(name=folder.name, id=folder.name))
    return folder


def described(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change model.json, its hashes with it."""
    said = json.loads((folder / "model.json").read_text())
    change(said)
    said["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in said["files"]
    }
    (folder / "model.json").write_text(json.dumps(said))


def with_network(root: Path, expression: Any, name: str = "bundle") -> Path:
    """The bundle with another `network_def`."""
    folder = copied(BUNDLE, root, name)
    path = folder / "configs" / "inference.json"
    config = json.loads(path.read_text())
    config["network_def"] = expression
    path.write_text(json.dumps(config))
    described(folder, lambda said: None)
    return folder


def doing(root: Path, code: str, name: str = "villain") -> Path:
    """A bundle that does `code` while it is built, keeps quiet about it, and then works well."""
    config = json.loads((BUNDLE / "configs" / "inference.json").read_text())["network_def"]
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    quietly = f"try:\n    {code}\nexcept BaseException:\n    pass"
    return with_network(
        root,
        f"$exec({quietly!r}) or __import__('monai').networks.nets.SegResNet(**{arguments!r})",
        name,
    )


class Villain:
    """Unpickled as a program."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, (self.command,)  # noqa: TID251 - what a villain would use


def with_pickle(root: Path, command: str, name: str = "pickle") -> Path:
    """The bundle with a checkpoint that would run a command when it is unpickled."""
    import torch

    folder = copied(BUNDLE, root, name)
    torch.save({"state_dict": Villain(command)}, folder / "models" / "model.pt")
    described(folder, lambda said: None)
    return folder
