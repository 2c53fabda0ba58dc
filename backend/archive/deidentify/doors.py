"""De-identification as the doors use it: what parsing calls, and what is kept of refused files."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import PurePosixPath
from uuid import UUID

from pydicom.dataset import Dataset

from backend.archive.deidentify.links import links
from backend.archive.deidentify.objects import deidentify
from backend.archive.findings import NotTaken
from backend.archive.models import Instance, KeptAside, Receipt, Study
from backend.errors import ConcordError

logger = logging.getLogger(__name__)

# Endings that say what kind of file it is, and nothing of a person.
_ENDINGS = frozenset(
    {".dcm", ".dicom", ".ima", ".img", ".zip", ".txt", ".pdf", ".jpg", ".png", ".nii", ".gz"}
)


class Change:
    """Cleans one object on its way in.

    Args:
        reviewed: somebody looked at it and found no name.
        issuer: who gives out the Patient IDs where it comes from, if its source says so.

    Attributes:
        done: whether it was cleaned, so that what is said of it afterwards is of the clean one.
    """

    def __init__(self, *, reviewed: bool = False, issuer: str = "") -> None:
        self.done = False
        self._links, self._reviewed, self._issuer = links(), reviewed, issuer

    def __call__(self, dataset: Dataset) -> bytes:
        """The bytes of the cleaned file; raises `NotTaken`."""
        data = deidentify(dataset, self._links, reviewed=self._reviewed, issuer=self._issuer)
        self.done = True
        return data

    def said(self, problem: NotTaken) -> NotTaken:
        """What is wrong with an object, as it may be kept: without UIDs and values of its own."""
        if not self.done:
            uid = self._links.keys.uid
            problem.sop_uid = uid(problem.sop_uid) if problem.sop_uid else ""
            problem.series_uid = uid(problem.series_uid) if problem.series_uid else ""
            if problem.code == "UNSUPPORTED_SYNTAX":
                problem.message = "{name} is written in a transfer syntax that is not known here."
        return problem


def change_for(receipt: Receipt) -> Change | None:
    """What cleans the objects of a batch; None where they are taken as they are."""
    return Change(issuer=issuer_of(receipt)) if receipt.deidentified else None


def issuer_of(receipt: Receipt) -> str:
    """Who gives out the Patient IDs where a batch comes from, "" where nobody said."""
    return receipt.origin.issuer if receipt.origin is not None else ""


def label_of(name: str) -> str:
    """What a file is called where its name may be a patient's: the same name, the same label."""
    ending = PurePosixPath(name.lower()).suffix
    letters = links().keys.pseudonym(f"file {name}")[-5:]
    return f"file {letters}{ending if ending in _ENDINGS else ''}"


def seal(file_id: UUID, name: str, data: bytes) -> bool:
    """Keep the name and bytes of a file that was not taken, encrypted; says whether that worked."""
    try:
        links().keep_file(file_id, name, data)
    except OSError:
        logger.exception("A file that was not taken could not be kept.")
        return False
    return True


def names_of(kept: Iterable[KeptAside]) -> dict[UUID, str]:
    """The names that the files had, for who may upload; without the key, their labels."""
    rows = list(kept)
    names = {row.pk: row.name for row in rows}
    sealed = [row.pk for row in rows if row.receipt.deidentified]
    if sealed:
        try:
            names |= links().file_names(sealed)
        except (ConcordError, OSError):
            logger.exception("The names of files that were not taken cannot be read.")
    return names


def is_deidentified(study_uid: str) -> bool:
    """Whether this study's objects were de-identified when they came in."""
    return Instance.objects.filter(
        series__study__uid=study_uid, receipt__deidentified=True
    ).exists()


def shift_days(study_uid: str) -> int:
    """By how many days the dates of a study's patient were moved; 0 where they were not.

    Raises `KeyUnusable` where that cannot be told.
    """
    if not is_deidentified(study_uid):
        return 0
    study = Study.objects.get(uid=study_uid)
    return links().keys.shift_days(study.patient_id)
