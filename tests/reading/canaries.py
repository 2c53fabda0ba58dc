"""What only someone's hidden work holds, and how to find any of it in an answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

# Names and words that nobody else has: what people write is made of them.
FIRST, FIRST_LOGIN, FIRST_TEXT = "Zephyrine Quillfeather", "zqf-first", "canary-kestrel-words"
SECOND, SECOND_LOGIN, SECOND_TEXT = "Wolfram Thistlewood", "wtw-second", "canary-lapwing-words"
EVIDENCE_TEXT = "canary-ossifrage-histology"
OF_FIRST = ("zephyrine", "quillfeather", FIRST_LOGIN, "kestrel")
OF_SECOND = ("wolfram", "thistlewood", SECOND_LOGIN, "lapwing")
OF_EVIDENCE = ("ossifrage",)

_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_BARE = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_NUMBER = re.compile(r"2\.25\.(\d{30,39})")


def tokens(text: str) -> set[str]:
    """Every UUID (dashed, bare, or as a 2.25 UID) and every SHA-256 of a text."""
    text = text.lower()
    found = set(_UUID.findall(text)) | set(_HASH.findall(text))
    for bare in (*_BARE.findall(text), *(f"{int(n):032x}" for n in _NUMBER.findall(text))):
        if len(bare) == 32:
            found.add("-".join((bare[:8], bare[8:12], bare[12:16], bare[16:20], bare[20:])))
    return found


def tokens_of_database() -> set[str]:
    """Every UUID and hash that any table holds now."""
    found: set[str] = set()
    with connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'select row_to_json(t)::text from "{table}" t')  # noqa: S608
            for (row,) in cursor.fetchall():
                found |= tokens(row)
    return found


@dataclass(frozen=True)
class Canaries:
    """Ids, hashes and words of hidden work."""

    ids: frozenset[str]
    words: tuple[str, ...]
    _of_body: dict[str, set[str]] = field(default_factory=dict, compare=False)

    @property
    def hashes(self) -> list[str]:
        """The SHA-256 among them, in a fixed order."""
        return sorted(token for token in self.ids if len(token) == 64)

    def in_answer(self, body: bytes, headers: Iterable[tuple[str, Any]], asked: str) -> set[str]:
        """What an answer tells of them that the question did not already say."""
        digest = hashlib.sha256(body).hexdigest()
        if digest not in self._of_body:
            self._of_body[digest] = self._in(body.decode("latin-1")) | {digest} & self.ids
        found = self._of_body[digest] | self._in("\n".join(f"{k}: {v}" for k, v in headers))
        return {one for one in found if one not in asked.lower()}

    def _in(self, text: str) -> set[str]:
        text = text.lower()
        return tokens(text) & self.ids | {word for word in self.words if word in text}
