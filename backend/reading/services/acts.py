"""Acts that bear their client's UUID as their id, in whatever case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, models, transaction

from backend.errors import WrongState


def client_reused() -> WrongState:
    """The refusal of a UUID that already stands for something else."""
    return WrongState(
        "CLIENT_REUSED",
        "This UUID stands for another act already.",
        "Give every act a fresh random UUID.",
    )


@contextmanager
def named_by_client(model: type[models.Model]) -> Iterator[None]:
    """Around the making of a row whose id is the client's UUID.

    Acts on one case wait for each other and look first; an act on another case may take the same
    UUID at the same moment, which only the database sees. Raises `WrongState` `CLIENT_REUSED`.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        said = getattr(error.__cause__, "diag", None)
        if getattr(said, "constraint_name", "") != f"{model._meta.db_table}_pkey":
            raise
        raise client_reused() from None
