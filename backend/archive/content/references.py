"""Which columns of the archive name blobs."""

from __future__ import annotations

from backend.archive.models import Instance, KeptAside, Series
from backend.store import references


def register_all() -> None:
    """Called once, when the room is ready."""
    resend = "Otherwise have the same files sent again: what is here already fills its gap."
    references.register(Instance, "blob", cure=resend)
    references.register(KeptAside, "blob", cure="Otherwise the sender may still have the file.")
    for field in ("metadata_blob", "metadata_blob_unnamed"):
        references.register(Series, field, forget=references.forgets(Series, field))
