"""What storing a file costs whatever the program: its hash, and its way to the disk."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from backend.archive.benchmarks.measuring import Row
from backend.archive.benchmarks.slices import Files
from backend.archive.benchmarks.storing_speed import IN_A_REQUEST
from backend.store.folder import FolderStore

MEASURED = 100


def floor(files: Files, folder: Path, stow: Row, target: float) -> dict[str, Any]:
    """Processors' ms an instance for hashing and for writing and flushing, in this process alone.

    Args:
        files: some of the benchmark's.
        folder: where a content store may be made.
        stow: the row that compares STOW, with what it cost both servers.
        target: how many times faster than the peer it is to be.

    Returns:
        The two costs, what the target leaves for all else, and a sentence made of these.
    """
    datas = [path.read_bytes() for path in files.paths[:MEASURED]]
    began = time.process_time()
    names = [hashlib.sha256(data).hexdigest() for data in datas]
    hashed = time.process_time()
    kept = FolderStore(folder)
    for start in range(0, len(datas), IN_A_REQUEST):
        part = slice(start, start + IN_A_REQUEST)
        kept.put_many(datas[part], names[part])
    written = time.process_time()
    hash_ms, write_ms = (
        (b - a) / len(datas) * 1000 for a, b in ((began, hashed), (hashed, written))
    )
    left = stow["peer_cpu_ms_each"] / target - hash_ms - write_ms
    return {
        "what": f"{stow['what']}: what storing costs whatever the program",
        "hash_ms_each": round(hash_ms, 3),
        "write_ms_each": round(write_ms, 3),
        "left_ms_each": round(left, 3),
        "says": (
            f"An instance takes {stow['cpu_ms_each']:.2f} ms of the processors here, "
            f"{stow['peer_cpu_ms_each']:.2f} in {stow['peer_name']}, {hash_ms:.2f} for its SHA-256 "
            f"and {write_ms:.2f} for its way to the disk. Where the processors are the limit, "
            f"{target:g} x leaves {left:.2f} ms for HTTP, the header, the rows and the database."
        ),
    }
