"""What a report says of its numbers' ground: bias, how nodes are called, images and model. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.reports import blocks, shown
from backend.reports.consensus_sections import NOT_BENIGN
from backend.reports.timeline_cast import NAMING


def notices_section(facts: dict[str, Any], agreed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How to take the numbers: bias, labels, exclusion; and how nodes are called.

    `agreed` are the rows of the consensus, if there is one.
    """
    exclusions = facts["case"]["exclusions"]
    return blocks.section(
        "notices",
        "",
        blocks.notice("Read these numbers with care.", _bias(facts, agreed), "warn"),
        blocks.notice(
            "Excluded from cohorts.",
            "The case is read like any other and left out of cohort results: "
            + " ".join(exclusions),
            "plain",
        )
        if exclusions
        else None,
        blocks.text(NAMING),
    )


def _bias(facts: dict[str, Any], agreed: Sequence[dict[str, Any]]) -> str:
    """METHODS.md §1.12, in this case's words."""
    model = facts["model"]
    signed = [reading for reading in facts["readings"] if reading["signed"]]
    if model is None or not any(reading["masks"]["ai"] for reading in signed):
        first = "No AI proposal was shown to who read, so the truth is not anchored to one."
    else:
        first = (
            f"The truth was made by correcting the proposal of {model['name']} "
            f"{model['version']}, which is also the model evaluated. Readers who start from a "
            "proposal stay near it: recall, Dice and surface distance are optimistic."
        )
    if len(signed) < 2:
        second = "One reader corrected it; no second opinion is in these numbers."
    else:
        second = "Two readers read independently; what they differed in was settled afterwards."
    return f"{first} {second} {_rests(agreed)} {NOT_BENIGN}"


def _rests(agreed: Sequence[dict[str, Any]]) -> str:
    """What the labels, or before there are any the impressions, rest on."""
    labelled = [row for row in agreed if row["status"]]
    if not labelled:
        return "Impressions rest on the images alone."
    named = sum(bool(row["evidence"]) for row in labelled)
    without = len(labelled) - named
    one = named == 1
    return (
        "Labels rest on imaging and clinical evidence, not on histology of every node: of "
        f"{len(labelled)}, {named} name{'s' * one} {'its' if one else 'their'} evidence and "
        f"{without} rest{'s' * (without == 1)} on the readers’ judgement alone."
    )


def case_section(facts: dict[str, Any]) -> dict[str, Any]:
    """The case, its images, the protocol it was read under, and the model."""
    case, images, protocol = facts["case"], facts["images"], facts["case"]["protocol"]
    sz, sy, sx = images["grid"]["spacing_mm"]
    slices, rows, columns = images["grid"]["shape"]
    design = protocol["design"].replace("_", " ")
    return blocks.section(
        "case",
        "Case, images and model",
        blocks.columns(
            blocks.facts(
                ("Case", f"{case['label']}, subject {case['subject']}, {case['project']}"),
                ("Study date", case["study_date"] or "not given"),
                ("Protocol", f"{protocol['code']} version {protocol['version']}, {design}"),
                (
                    "Images",
                    f"{images['modality'] or 'series'}, {images['grid']['plane']}, "
                    f"{slices} × {rows} × {columns} voxels",
                ),
                ("Spacing", f"{sz:.4g} × {sy:.4g} × {sx:.4g} mm (slices, rows, columns)"),
                ("Inclusion", _inclusion(case["series_facts"])),
                ("Cohorts", "excluded, see above" if case["exclusions"] else "included"),
            ),
            _model(facts["model"]),
        ),
    )


def _inclusion(said: dict[str, Any]) -> str:
    """What the images say of the items a protocol asks for."""
    thickness, age = said["slice_thickness_mm"], said["age_years"]
    return ", ".join(
        (
            "slice thickness not recorded" if thickness is None else f"slices of {thickness:g} mm",
            "contrast given" if said["contrast"] else "no contrast recorded",
            "age not recorded" if age is None else f"{age} years",
        )
    )


def _model(model: dict[str, Any] | None) -> blocks.Block:
    if model is None:
        return blocks.facts(("Model", "no proposal was made"))
    return blocks.facts(
        ("Model", f"{model['name']} {model['version']}"),
        ("Its notice", model["notice"]) if model["notice"] else None,
        ("Weights", model["sha256"]),
        ("Its run", f"ended {shown.when(model['finished'])}; more at the end"),
    )
