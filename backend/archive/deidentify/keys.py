"""The installation's secret, and what is derived from it: pseudonyms, UIDs, date shifts.

All are pure functions of the key and of what they stand for, so that every process gives the same
answer without asking another, and the same file sent twice is the same object.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydicom.uid import UID_dictionary

from backend.errors import ConcordError
from backend.store.durable import flush_folders

KEY_BYTES = 32
_NONCE_BYTES = 12
# Digits and letters that are not mistaken for one another.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PSEUDONYM_LETTERS = 8
LONGEST_SHIFT_DAYS = 365
STANDARD_ROOT = "1.2.840.10008."


class KeyUnusable(ConcordError):
    """The pseudonym key is missing, damaged, or not the one this store was written with."""

    status = 503


@dataclass(frozen=True)
class Keys:
    """What one secret gives. Methods are pure; text in, text out."""

    secret: bytes

    def __repr__(self) -> str:
        return "Keys(…)"

    def _derived(self, purpose: str) -> bytes:
        return _derived(self.secret, purpose)

    def tag(self, purpose: str, text: str) -> bytes:
        """32 bytes that say nothing of `text` to who has no key."""
        return hmac.digest(self._derived(purpose), text.encode("utf-8", "replace"), "sha256")

    def pseudonym(self, identity: str) -> str:
        """`SUBJ-` and eight letters (40 bits) for a person."""
        number = int.from_bytes(self.tag("pseudonym", identity)[:8], "big")
        letters = []
        for _ in range(PSEUDONYM_LETTERS):
            number, place = divmod(number, len(_LETTERS))
            letters.append(_LETTERS[place])
        return f"SUBJ-{''.join(letters)}"

    def uid(self, original: str) -> str:
        """`2.25.` and the decimal of a UUID; the standard's own UIDs stay as they are."""
        if original in UID_dictionary:
            return original
        return f"2.25.{uuid.UUID(bytes=self.tag('uid', original)[:16], version=5).int}"

    def shift_days(self, pseudonym: str) -> int:
        """By how many days this person's dates are moved: -365 to -1.

        Into the past, so that no date comes to lie after today; any number of days, because only
        whole weeks would leave 52 possibilities. Of the pseudonym and not of the identity, so
        that dates entered later move alike without looking anybody up.
        """
        number = int.from_bytes(self.tag("shift", pseudonym)[:8], "big")
        return -1 - number % LONGEST_SHIFT_DAYS

    def sealed(self, data: bytes, label: str) -> bytes:
        """`data` encrypted (AES-256-GCM), bound to `label`."""
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(self._derived("encryption"))
        return nonce + cipher.encrypt(nonce, data, label.encode())

    def opened(self, sealed: bytes, label: str) -> bytes:
        """What `sealed` gave; raises cryptography's `InvalidTag` for anything else."""
        cipher = AESGCM(self._derived("encryption"))
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], label.encode())

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart, and gives neither away."""
        return self.tag("fingerprint", "").hex()[:16]


def is_pseudonym(text: str) -> bool:
    """Whether the text has the form of a pseudonym."""
    head, _, letters = text.partition("-")
    return head == "SUBJ" and len(letters) == PSEUDONYM_LETTERS and set(letters) <= set(_LETTERS)


@lru_cache(maxsize=64)
def _derived(secret: bytes, purpose: str) -> bytes:
    """HKDF-SHA256 (RFC 5869) of one block, without salt."""
    extracted = hmac.digest(bytes(hashlib.sha256().digest_size), secret, "sha256")
    return hmac.digest(extracted, f"concord {purpose}".encode() + b"\x01", "sha256")


def read_key(path: Path) -> Keys:
    """The key in the file (64 hex digits); raises `KeyUnusable`."""
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        raise _unusable("is missing") from None
    except (OSError, ValueError, UnicodeDecodeError):
        raise _unusable("cannot be read") from None
    if len(secret) != KEY_BYTES:
        raise _unusable("is damaged")
    return Keys(secret)


def _unusable(what: str) -> KeyUnusable:
    return KeyUnusable(
        "PSEUDONYM_KEY",
        f"The pseudonym key {what}, so nothing can be de-identified.",
        "Restore the file that CONCORD_PSEUDONYM_KEY_FILE names from its backup. A new key would "
        "give everyone already here a second pseudonym.",
    )


def make_key(path: Path) -> None:
    """A new key (mode 0600), unless there is one. Safe where several processes do it at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(os.urandom(KEY_BYTES).hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # Whole or not at all, and never over another.
        except FileExistsError:
            return
        flush_folders([path.parent])
    finally:
        Path(temporary).unlink(missing_ok=True)
