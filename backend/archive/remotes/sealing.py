"""Values that lie encrypted in the database: a remote's password, and what was asked of it.

The key is derived from the installation's secret key, which lies outside the database: a copy of
the tables alone opens nothing.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from backend.errors import ConcordError

_PURPOSE = b"concord remotes 1"


class CannotUnseal(ConcordError):
    """A value was encrypted under another secret key. Enter it again."""

    status = 409

    def __init__(self) -> None:
        super().__init__(
            "SEALED_BY_ANOTHER_KEY",
            "What is kept of this remote was encrypted under another secret key.",
            "Enter its password or token again, and ask for the transfer again.",
        )


def seal(value: Any) -> str:
    """A JSON value as text that only this installation reads."""
    return _cipher().encrypt(json.dumps(value).encode()).decode()


def unseal(text: str) -> Any:
    """The value; raises `CannotUnseal`."""
    try:
        return json.loads(_cipher().decrypt(text.encode()))
    except (InvalidToken, ValueError):
        raise CannotUnseal from None


def _cipher() -> Fernet:
    derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_PURPOSE)
    return Fernet(base64.urlsafe_b64encode(derived.derive(settings.SECRET_KEY.encode())))
