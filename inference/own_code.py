"""Which code made a result: a digest, for a copy of the files has no commit to name."""

from __future__ import annotations

import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What segments, and what measures.
FOLDERS = ("inference", "backend/imaging")


def code_sha256(root: Path = ROOT) -> str:
    """SHA-256 (hex) of the Python files of `FOLDERS` below `root`.

    Hashed is a line `SHA-256 of the file, two blanks, path` for each, by path, as `sha256sum`
    writes it.
    """
    files = sorted(
        path.relative_to(root).as_posix()
        for folder in FOLDERS
        for path in (root / folder).rglob("*.py")
    )
    lines = [
        f"{hashlib.sha256((root / name).read_bytes()).hexdigest()}  {name}\n" for name in files
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
