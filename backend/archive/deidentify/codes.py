"""Coded entries: a code of a known scheme stays, with the meaning its dictionary gives it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from backend.archive.deidentify.vocabulary import cleaned

REMOVED = "REMOVED"
# What the codes of each scheme look like; one that looks otherwise may be anything.
_FORMS = {
    scheme: re.compile(form)
    for scheme, form in {
        "SCT": r"\d{6,18}",
        "SRT": r"[A-Z][A-Z0-9]?-[0-9A-F]{4,6}",
        "SNM3": r"[A-Z][A-Z0-9]?-[0-9A-F]{4,6}",
        "99SDM": r"[A-Z][A-Z0-9]?-[0-9A-F]{4,6}",
        "DCM": r"\d{5,6}",
        "LN": r"\d{3,6}-\d",
        "FMA": r"\d{4,7}",
        "RADLEX": r"RID\d{1,6}",
        "NCIT": r"C\d{3,7}",
        "NCIt": r"C\d{3,7}",
        "UMLS": r"C\d{7}",
        "MDC": r"\d{1,6}",
        "NEU": r"\d{1,4}",
        "IBSI": r"[A-Z0-9]{4}",
        "ISO639_1": r"[a-z]{2}",
        "RFC5646": r"[a-z]{2}(-[A-Z]{2})?",
        "RFC3066": r"[a-z]{2}(-[A-Z]{2})?",
    }.items()
}
_UNIT_NAMES = (
    "1 mm mm2 mm3 cm cm2 cm3 ml m s ms min h d % g kg mg kV mA mGy mGy.cm mSv Bq kBq MBq Bq/ml "
    "Bq/mL kBq/ml g/ml g/mL g/ml{SUVbw} {SUVbw}g/ml cm2/ml{SUVbsa} [hnsf'U] {counts} {counts}/s "
    "{pixels} {ratio} {ppm} deg rad no 1/ml um2/s mm2/s"
)
_UNITS = frozenset(_UNIT_NAMES.split())


@dataclass(frozen=True)
class Code:
    """Value, scheme and meaning as they may stay."""

    value: str
    scheme: str
    meaning: str


@lru_cache(maxsize=4096)
def checked(value: str, scheme: str, meaning: str) -> Code:
    """The code, or `REMOVED` of our own scheme with what words of its meaning may stay."""
    official = _meanings().get((scheme, value))
    form = _FORMS.get(scheme)
    if official is not None or (scheme == "UCUM" and value in _UNITS):
        return Code(value, scheme, official or value)
    if form is not None and form.fullmatch(value):
        return Code(value, scheme, cleaned(meaning) or REMOVED)
    return Code(REMOVED, "99CONCORD", cleaned(meaning) or REMOVED)


@lru_cache
def _meanings() -> dict[tuple[str, str], str]:
    """(scheme, code) → meaning, of the standard's context groups."""
    from pydicom.sr._concepts_dict import concepts

    return {
        (scheme, code): meaning.encode("ascii", "ignore").decode()[:64]
        for scheme, keywords in concepts.items()
        for codes in keywords.values()
        for code, (meaning, _) in codes.items()
    }
