"""What the forms of the remotes' pages say."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any

from django.http import QueryDict

from backend.archive.metadata import clean_text
from backend.archive.remotes.asking import Wanted
from backend.archive.remotes.managing import RemoteFacts
from backend.archive.remotes.searching import Criteria
from backend.errors import BadInput

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_MODALITY = re.compile(r"[A-Z]{0,16}")
LONGEST_LABEL = 600


def facts_of_form(form: QueryDict, name: str | None = None) -> tuple[str, RemoteFacts]:
    """A remote's name and facts; raises `BadInput`."""
    name = name or form.get("name", "").strip().lower()
    if not _NAME.fullmatch(name):
        raise BadInput(
            "BAD_NAME",
            "A name is made of small letters, digits and hyphens, at most 40.",
            "Enter one such as hospital-pacs.",
        )
    secret = form.get("secret", "")
    return name, RemoteFacts(
        url=form.get("url", ""),
        sign_in=form.get("sign_in", "none"),
        username=form.get("username", "").strip()[:120],
        secret=secret or None,
        verify_tls=form.get("verify_tls") == "on",
        ca_certificates=form.get("ca_certificates", ""),
    )


def criteria_of(form: QueryDict) -> Criteria:
    """What to look for; raises `BadInput`."""
    modality = _words(form, "modality").upper()
    if not _MODALITY.fullmatch(modality):
        raise BadInput("BAD_MODALITY", "That is no modality.", "Choose one, such as CT.")
    found = Criteria(
        patient_id=_words(form, "patient_id"),
        patient_name=_words(form, "patient_name"),
        first=_day(form, "first"),
        last=_day(form, "last"),
        modality=modality,
        accession=_words(form, "accession"),
    )
    if found.first and found.last and found.first > found.last:
        raise BadInput(
            "BAD_DATES", "The first day is after the last.", "Exchange them, or leave one empty."
        )
    return found


def _words(form: QueryDict, name: str) -> str:
    # A backslash would separate values, a comma two of a list.
    words = clean_text(form.get(name, "")).strip()[:64]
    return "".join(c for c in words if c.isprintable() and c not in "\\,")


def _day(form: QueryDict, name: str) -> dt.date | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise BadInput("BAD_DATE", f"{text[:20]} is no date.", "Enter it as YYYY-MM-DD.") from None


def wanted_of(form: QueryDict) -> list[Wanted]:
    """Whole studies (`study`), and series of others (`series`, as study/series)."""
    studies = list(dict.fromkeys(form.getlist("study")))
    chosen: dict[str, list[str]] = {}
    for pair in form.getlist("series"):
        study, _, series = pair.partition("/")
        if study not in studies:
            chosen.setdefault(study, []).append(series)
    return [
        *(Wanted(uid, None, _label(form, uid)) for uid in studies),
        *(Wanted(uid, series, _label(form, uid)) for uid, series in chosen.items()),
    ]


def _label(form: QueryDict, study: str) -> dict[str, Any]:
    """What the page showed of the study, for the list of transfers."""
    text = form.get(f"label-{study}", "")[:LONGEST_LABEL]
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {
        name: clean_text(str(said[name]))[:120]
        for name in ("date", "description", "modalities")
        if name in said
    }
