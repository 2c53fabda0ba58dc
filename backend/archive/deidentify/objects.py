"""One object made nameless: a data set as it was read in, the bytes of a new file out."""

from __future__ import annotations

from functools import lru_cache

from pydicom.dataset import Dataset

from backend.archive.deidentify import values
from backend.archive.deidentify.cleaning import Cleaner, joined
from backend.archive.deidentify.encoding import Encoding, file_of
from backend.archive.deidentify.keys import STANDARD_ROOT, is_pseudonym
from backend.archive.deidentify.links import Links
from backend.archive.deidentify.provenance import provenance
from backend.archive.deidentify.reading import name, number, raw_value, text
from backend.archive.deidentify.review import REPORTS, needs_review
from backend.archive.deidentify.vocabulary import NOBODY, words_of_name

_SOP_CLASS, _SOP_UID, _STUDY_UID = 0x00080016, 0x00080018, 0x0020000D
_PATIENT_NAME, _PATIENT_ID, _ISSUER = 0x00100010, 0x00100020, 0x00100021
_BIRTH, _AGE, _STUDY_DATE = 0x00100030, 0x00101010, 0x00080020
_PIXELS, _BURNED_IN = 0x7FE00010, 0x00280301
_IMAGES = frozenset({"CT", "MR", "PT"})
_OTHER_PARTS = (
    "CHEST THORAX ABDOMEN PELVIS ABDOMENPELVIS CHESTABDOMEN CHESTABDPELVIS LUNG HEART LIVER KIDNEY "
    "BREAST PROSTATE UTERUS TSPINE LSPINE SPINE SHOULDER ELBOW WRIST HAND HIP KNEE ANKLE FOOT LEG "
    "ARM EXTREMITY PHANTOM"
)
_FACELESS = frozenset(_OTHER_PARTS.split())
# What the store of links keeps of a person.
_TOLD = {
    "patient_id": _PATIENT_ID,
    "issuer": _ISSUER,
    "name": _PATIENT_NAME,
    "birth_date": _BIRTH,
}


def deidentify(
    dataset: Dataset, links: Links, *, reviewed: bool = False, issuer: str = ""
) -> bytes:
    """The object as a new file without names.

    Who and which UIDs are behind it is remembered in `links`, to be flushed before the object is
    stored. An object that names a study of ours and its pseudonym (a segmentation made elsewhere
    of images from here) is cleaned alike, and keeps the UIDs and dates that are ours already.

    Args:
        dataset: as `dcmread` gave it; nothing in it need have been looked at.
        links: the store of links.
        reviewed: somebody looked at it and found no name.
        issuer: who gave out its Patient ID, where it does not say so itself.

    Raises:
        NotTaken: no rule can clean it, and nobody has looked at it.
    """
    if not reviewed and (problem := needs_review(dataset)) is not None:
        raise problem
    implicit, little = dataset.original_encoding
    encoding = Encoding(implicit=bool(implicit), little=little is not False)
    cleaner = _cleaner_for(dataset, links, encoding, issuer)
    made = cleaner.elements(dataset)
    made[_PATIENT_ID] = encoding.element(_PATIENT_ID, "LO", cleaner.pseudonym.encode())
    made[_PATIENT_NAME] = encoding.element(_PATIENT_NAME, "PN", cleaner.pseudonym.encode())
    if age := _age(dataset):
        made[_AGE] = encoding.element(_AGE, "AS", age)
    if trimmed := _trimmed(dataset):
        made[_PIXELS] = encoding.element(_PIXELS, _pixel_vr(dataset), trimmed)
    sop_class = text(dataset, _SOP_CLASS)
    if reviewed and _PIXELS in made:
        made[_BURNED_IN] = encoding.element(_BURNED_IN, "CS", b"NO")
    made |= provenance(
        encoding, report=sop_class.startswith(REPORTS), faces=_may_show_a_face(dataset)
    )
    return file_of(
        sop_class=sop_class if sop_class.startswith(STANDARD_ROOT) else "",
        sop_uid=cleaner.mapped(sop_uid) if (sop_uid := text(dataset, _SOP_UID)) else "",
        syntax=str(dataset.file_meta.TransferSyntaxUID),
        body=joined(made),
    )


def _cleaner_for(dataset: Dataset, links: Links, encoding: Encoding, usual: str) -> Cleaner:
    study, patient = text(dataset, _STUDY_UID), name(dataset, _PATIENT_ID).strip()
    if is_pseudonym(patient) and links.gave(study, patient):
        return _kept_as_they_are(patient, encoding)
    issuer = name(dataset, _ISSUER).strip() or usual
    identity = f"patient\x1f{patient}\x1f{issuer}" if patient else f"study\x1f{study}"
    pseudonym = links.keys.pseudonym(identity)
    facts = {key: found for key, tag in _TOLD.items() if (found := name(dataset, tag).strip())}
    facts |= {"issuer": issuer} if issuer else {}
    links.remember_person(pseudonym, identity, facts)
    own = words_of_name(name(dataset, _PATIENT_NAME))
    return _cleaner(links, pseudonym, encoding, own)


@lru_cache(maxsize=64)
def _cleaner(links: Links, pseudonym: str, encoding: Encoding, own: frozenset[str]) -> Cleaner:
    keys = links.keys

    def mapped(original: str) -> str:
        found = keys.uid(original)
        if found != original:
            links.remember_uid(found, original)
        return found

    return Cleaner(pseudonym, keys.shift_days(pseudonym), mapped, encoding, own)


@lru_cache(maxsize=64)
def _kept_as_they_are(pseudonym: str, encoding: Encoding) -> Cleaner:
    return Cleaner(pseudonym, 0, str, encoding, NOBODY)


def _age(dataset: Dataset) -> bytes:
    """Patient's Age where the object has only dates to tell it by; b"" where it has it."""
    element = dataset.get_item(_AGE) if _AGE in dataset else None
    if element is not None and values.ages(raw_value(element)):
        return b""
    return values.age_at(text(dataset, _BIRTH), text(dataset, _STUDY_DATE)).encode()


def _trimmed(dataset: Dataset) -> bytes:
    """Native pixels without what lies behind the last of them; b"" where nothing does."""
    if _PIXELS not in dataset or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return b""
    sizes = [number(dataset, tag) for tag in (0x00280010, 0x00280011, 0x00280100, 0x00280002)]
    if not all(sizes) or text(dataset, 0x00280004).startswith("YBR_FULL_422"):
        return b""
    frames = number(dataset, 0x00280008) or 1
    bits = frames
    for size in sizes:
        bits *= size or 0
    expected = (bits + 7) // 8
    value = raw_value(dataset.get_item(_PIXELS))
    return value[:expected] if len(value) > expected + expected % 2 else b""


def _pixel_vr(dataset: Dataset) -> str:
    vr = dataset.get_item(_PIXELS).VR
    return vr if vr in ("OB", "OW") else "OW"


def _may_show_a_face(dataset: Dataset) -> bool:
    if text(dataset, 0x00080060) not in _IMAGES:
        return False
    return text(dataset, 0x00180015).upper() not in _FACELESS
