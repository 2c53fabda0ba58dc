"""The words of the reading room: what a reader may say of a node, and what stands behind it."""

from __future__ import annotations

from django.db import models


class Slot(models.TextChoices):
    """The place a reading takes in its case."""

    R1 = "R1", "First reader"
    R2 = "R2", "Second reader"
    ADJ = "ADJ", "Adjudicator"
    REPEAT = "REPEAT", "Repeat reading"


class Arm(models.TextChoices):
    """When a reader sees the AI's proposal."""

    AI_FIRST = "ai_first", "AI first"
    AI_AFTER_FIRST_PASS = "ai_after_first_pass", "AI after the first pass"
    NO_AI = "no_ai", "No AI"


class AiState(models.TextChoices):
    """How far the pre-segmentation of a case is."""

    NONE = "none", "none"
    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    READY = "ready", "ready"
    FAILED = "failed", "failed"


class ComparisonState(models.TextChoices):
    """How far the comparison of two submitted readings is."""

    QUEUED = "queued", "queued"
    MADE = "made", "made"
    FAILED = "failed", "failed"


class MaskKind(models.TextChoices):
    """What a mask is in the life of its case."""

    EMPTY = "empty", "empty, where a reading without AI starts"
    AI = "ai", "a model's proposal"
    READING = "reading", "a version of a reading"
    EFFECTIVE = "effective", "a submitted reading without its rejected nodes"
    SETTLED = "settled", "what rules settled between two readings"
    CONSENSUS = "consensus", "the agreed nodes"
    REDRAWN = "redrawn", "a shape drawn anew to settle a discrepancy"
    IGNORED = "ignored", "where a consensus says nothing: ignored by rule, or indeterminate"


class SettlingRole(models.TextChoices):
    """As what somebody takes part in settling."""

    READER = "reader", "reader"
    ADJUDICATOR = "adjudicator", "adjudicator"


class AuthorKind(models.TextChoices):
    """Who made a mask."""

    SYSTEM = "system", "the system"
    MODEL = "model", "a model"
    PERSON = "person", "a person"
    CONSENSUS = "consensus", "a consensus"


class Origin(models.TextChoices):
    """How a node came to be."""

    AI = "ai", "proposed by the AI"
    ADDED = "added", "added by a reader"
    SPLIT = "split", "split from another"
    MERGED = "merged", "merged from others"


class Decision(models.TextChoices):
    """What a reader decided on a node."""

    UNDECIDED = "undecided", "undecided"
    ACCEPTED = "accepted", "accepted"
    REJECTED = "rejected", "rejected"
    RESHAPED = "reshaped", "reshaped"
    ADDED = "added", "added"
    MERGED = "merged", "merged into another"


class Reason(models.TextChoices):
    """Why an AI node was rejected, in the order of the digit keys."""

    VESSEL = "vessel", "Vessel"
    MUSCLE = "muscle", "Muscle"
    SALIVARY_GLAND = "salivary_gland", "Salivary gland"
    THYROID = "thyroid", "Thyroid"
    TONSIL = "tonsil", "Tonsil"
    FAT = "fat", "Fat"
    ARTEFACT = "artefact", "Artefact"
    TOO_SMALL = "too_small", "Too small"
    OTHER = "other", "Other"


class Impression(models.TextChoices):
    """A reader's own image impression of a node; no word means "not marked metastatic"."""

    METASTATIC = "metastatic", "metastatic"
    NON_METASTATIC = "non_metastatic", "non-metastatic"
    INDETERMINATE = "indeterminate", "indeterminate"
    NOT_ASSESSABLE = "not_assessable", "not assessable"


class WhyNotAssessable(models.TextChoices):
    """Why a part of the images cannot be read."""

    STREAKS = "streaks", "Streaks"
    CUT_OFF = "cut_off", "Cut off"
    MOTION = "motion", "Motion"
    NOISE = "noise", "Noise"
    OTHER = "other", "Other"


class Phase(models.TextChoices):
    """Which part of the settling screen somebody has open."""

    SETTLE = "settle", "Settle"
    LABEL = "label", "Label"
    SIGN = "sign", "Sign"


PLANES = ("axial", "coronal", "sagittal")


def reason_group(reason: str) -> str:
    """The group of a reject reason in the correction accounting; "" for no reason."""
    if not reason:
        return ""
    return reason if reason in (Reason.TOO_SMALL, Reason.OTHER) else "false_positive"
