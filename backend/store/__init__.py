"""The content store: bytes addressed by the SHA-256 of what they mean, behind one interface.

In a folder by default (`FolderStore`), in an S3-compatible bucket by setting (`BucketStore`).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from backend.store.folder import FolderStore
from backend.store.interface import BlobMissing, BlobShort, Bytes, ContentStore, Entry

__all__ = ["BlobMissing", "BlobShort", "Bytes", "ContentStore", "Entry", "FolderStore", "store"]


@lru_cache
def _store_at(where: str) -> ContentStore:
    if where.startswith("s3://"):
        from backend.store.bucket import BucketStore

        return BucketStore.at(where)
    return FolderStore(Path(where))


def store() -> ContentStore:
    """The content store of this installation (`CONCORD_CONTENT`, else `$CONCORD_STATE/content`)."""
    from django.conf import settings

    return _store_at(str(settings.CONTENT_ROOT))
