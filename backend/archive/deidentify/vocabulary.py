"""What may stay of free text: words of a committed list, short numbers, and nothing else."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

LONGEST_KEPT = 200
NOBODY: frozenset[str] = frozenset()
_WORDS_FILE = Path(__file__).with_name("words.txt")
# Between words. A point, a plus and a percent sign belong to what they touch.
_APART = re.compile(r"[^A-Za-z0-9.+%]+")
_DATE_LIKE = re.compile(r"\d+[./\-_: ]+\d+[./\-_: ]+\d+|\d{4,}")
_NUMBER = re.compile(r"\d{1,2}|\d{0,3}\.\d{1,3}")
_UNITS = "mm|cm|ml|kv|kvp|ma|mas|hu|sec|s|ms|min|deg|x|d|t|%"
_MEASURED = re.compile(rf"(\d{{1,4}}|\d{{0,3}}\.\d{{1,3}})({_UNITS})", re.IGNORECASE)
_GLUED = re.compile(r"([A-Za-z]+)(\d{0,4})([A-Za-z]{0,12})")
_LED_BY_NUMBER = re.compile(r"(\d{1,2})([A-Za-z]{2,})")
# Siemens (B30f, Br40d, I31f), Canon (FC08), Philips (YA, UB, EC).
_KERNEL = re.compile(r"[A-Za-z]{1,2}\d{1,2}[A-Za-z]?|[YUE][A-E]")
_KERNEL_NAMES = frozenset({"boneplus", "lungplus", "chst", "bonenm1", "softtissue", "br", "hr"})


@lru_cache
def words() -> frozenset[str]:
    """The list, in lower case."""
    lines = _WORDS_FILE.read_text(encoding="ascii").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _is_word(text: str) -> bool:
    return len(text) == 1 or text.lower() in words()


def may_stay(token: str, *, digits: int = 2) -> bool:
    """Whether one token (letters, digits, `.+%`) says nothing that could name anyone.

    `digits`: how many may be glued to a word of the list (T12, PQ2000).
    """
    token = token.strip(".+%") if len(token) > 1 else token
    if not token:
        return False
    if token.lower() in words() or len(token) == 1:
        return True
    if _NUMBER.fullmatch(token) or _MEASURED.fullmatch(token):
        return True
    parts = re.split(r"[.+]", token)
    if len(parts) > 1:
        return not any(p.isdigit() for p in parts) and all(
            p and may_stay(p, digits=digits) for p in parts
        )
    if match := _GLUED.fullmatch(token):
        first, number, last = match.groups()
        most = digits if len(first) > 1 else 2
        return 0 < len(number) <= most and _is_word(first) and (not last or _is_word(last))
    if match := _LED_BY_NUMBER.fullmatch(token):
        return match[2].lower() in words()
    return False


def cleaned(text: str, without: frozenset[str] = NOBODY) -> str:
    """The words and numbers that may stay, with one space between them.

    What looks like a date or a long number goes first; of numbers without a unit that follow one
    another none stays, for together they may be anything.

    Args:
        text: as it was written.
        without: words (lower case) that go though they are of the list: the patient's own name.
    """
    while True:  # What stays may look like a date together: until nothing more goes.
        tokens = [t.strip(".") for t in _APART.split(_DATE_LIKE.sub(" ", text))]
        kept = _joined([t for t in tokens if may_stay(t) and t.lower() not in without])
        if kept == text:
            return kept
        text = kept


def device(text: str) -> str:
    """A manufacturer, model or version: the same, with up to four digits on a word of the list."""
    tokens = [token.strip(".") for token in _APART.split(text)]
    return _joined([token for token in tokens if may_stay(token, digits=4)])


def _joined(tokens: list[str]) -> str:
    """What stays of the tokens: no two bare numbers or letters together, nor they alone."""
    while any(pairs := [_is_one_of_two(tokens, place) for place in range(len(tokens))]):
        tokens = [token for token, gone in zip(tokens, pairs, strict=True) if not gone]
    if not any(len(token) > 1 or token.isdigit() for token in tokens):
        return ""
    return _cut(tokens, LONGEST_KEPT)


def _cut(tokens: list[str], longest: int) -> str:
    """As many whole tokens as fit."""
    kept = " ".join(tokens)
    return kept if len(kept) <= longest else kept[: longest + 1].rpartition(" ")[0]


def _lone(token: str) -> bool:
    """A number without a unit, or a single letter."""
    return token.isdigit() or (len(token) == 1 and token.isalpha())


def _is_one_of_two(tokens: list[str], place: int) -> bool:
    beside = tokens[max(0, place - 1) : place] + tokens[place + 1 : place + 2]
    return _lone(tokens[place]) and any(map(_lone, beside))


def words_of_name(name: str) -> frozenset[str]:
    """The words of a person's name or number, as `cleaned` takes them out."""
    return frozenset(word for word in re.findall(r"[a-z0-9]{2,}", name.lower()))


def coded(value: str) -> bool:
    """Whether a coded string (CS) may stay as it is: all its words are of the list."""
    tokens = [token for token in re.split(r"[ _\-/.+]+", value) if token]
    return all(may_stay(token) or (token.isdigit() and len(token) < 5) for token in tokens)


def kernel(value: str) -> str:
    """A convolution kernel: words of the list, and what vendors write; as it was where it can."""
    tokens = [token for token in re.split(r"[^A-Za-z0-9]+", value) if token]
    kept = [
        token
        for token in tokens
        if token.lower() in _KERNEL_NAMES or _KERNEL.fullmatch(token) or may_stay(token)
    ]
    plain = value.isascii() and value.isprintable() and len(value) <= 16
    return value if plain and kept == tokens else _cut(kept, 16)
