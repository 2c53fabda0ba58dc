"""Which evidence counts, for which node, and what every refusal tells one to do."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from backend.reading.evidence import (
    Item,
    Place,
    Rules,
    days_from_study,
    levels_agree,
    standing,
    standing_for,
    text_of,
)
from backend.reading.evidence_entry import entry_faults
from backend.reading.label_rules import label_faults, rests_on_necrosis_alone
from backend.reading.protocols import BUILT_IN

STUDY = datetime.date(2026, 3, 4)
TODAY = datetime.date(2026, 9, 1)
NODE = Place("node-1", "R", "IIA")
RULES = Rules()


def day(offset: int) -> datetime.date:
    return STUDY + datetime.timedelta(days=offset)


def pet(offset: int = 0, **own: Any) -> Item:
    return Item(**{"kind": "PET", "result": "positive", "date": day(offset), **_node(), **own})


def hist(**own: Any) -> Item:
    details = {"procedure": "excision", "correspondence": "largest node of the level"}
    base = {"kind": "HIST", "result": "positive", "date": day(20), "details": details}
    return Item(**{**base, **_node(), **own})


def chemo(offset: int = 60, **own: Any) -> Item:
    return Item(**{"kind": "CHEMO", "result": "regression", "date": day(offset), **_node(), **own})


def necr(**own: Any) -> Item:
    base = {"kind": "NECR", "result": "present", "date": None, "details": {"slice_index": 7}}
    return Item(**{**base, **_node(), **own})


def _node() -> dict[str, Any]:
    return {"scope": "node", "node": "node-1"}


def at_level(side: str, level: str) -> dict[str, Any]:
    return {"scope": "side_level", "node": "", "side": side, "level": level}


PATIENT = {"scope": "patient", "node": ""}


@pytest.mark.parametrize(("offset", "counts"), [(92, True), (-92, True), (93, False), (-93, False)])
def test_a_pet_counts_up_to_ninety_two_days_before_or_after(offset: int, counts: bool) -> None:
    verdict = standing_for(pet(offset), NODE, STUDY, RULES)
    assert verdict.counts is counts
    if not counts:
        assert "93 days" in verdict.sentence
        assert "Rest the label on other evidence." in verdict.sentence


def test_the_protocol_sets_the_distance_of_a_pet() -> None:
    rules = Rules(pet_max_days=10)
    assert standing(pet(10), STUDY, rules).counts
    assert not standing(pet(11), STUDY, rules).counts


def test_a_pet_without_a_known_distance_does_not_count() -> None:
    assert not standing(pet(), None, RULES).counts
    assert "Have the study's date" in standing(pet(date=None), STUDY, RULES).sentence


@pytest.mark.parametrize("result", ["negative", "equivocal"])
def test_only_a_positive_pet_counts(result: str) -> None:
    verdict = standing(pet(result=result), STUDY, RULES)
    assert not verdict.counts
    assert "only positive does" in verdict.sentence


def test_histology_counts_for_the_node_it_names_and_no_other() -> None:
    assert standing_for(hist(), NODE, STUDY, RULES).counts
    other = standing_for(hist(node="node-2"), NODE, STUDY, RULES)
    assert not other.counts
    assert "another node" in other.sentence


def test_histology_without_correspondence_counts_for_no_node() -> None:
    assert not standing(hist(details={"procedure": "excision"}), STUDY, RULES).counts
    verdict = standing_for(hist(**PATIENT), NODE, STUDY, RULES)
    assert not verdict.counts
    assert "Have it entered for the node" in verdict.sentence


def test_histology_of_a_side_and_level_counts_there_alone() -> None:
    assert standing_for(hist(**at_level("R", "IIA")), NODE, STUDY, RULES).counts
    assert standing_for(hist(**at_level("R", "II")), NODE, STUDY, RULES).counts
    for side, level in (("L", "IIA"), ("R", "IIB"), ("R", "III")):
        verdict = standing_for(hist(**at_level(side, level)), NODE, STUDY, RULES)
        assert not verdict.counts
        assert "this node is right level IIA" in verdict.sentence


def test_where_a_nodes_level_is_unknown_the_readers_judge() -> None:
    for place in (Place("node-1"), Place("node-1", "R"), Place("node-1", "", "IIA")):
        verdict = standing_for(hist(**at_level("R", "IIA")), place, STUDY, RULES)
        assert (verdict.counts, verdict.judged) == (True, True)
    known = standing_for(hist(**at_level("R", "IIA")), NODE, STUDY, RULES)
    assert not known.judged
    assert standing_for(pet(**PATIENT), NODE, STUDY, RULES).judged


@pytest.mark.parametrize(
    ("result", "counts"), [("regression", 1), ("progression", 1), ("stable", 0)]
)
def test_a_follow_up_counts_in_either_direction(result: str, counts: int) -> None:
    assert standing_for(chemo(result=result), NODE, STUDY, RULES).counts is bool(counts)


def test_a_follow_up_counts_with_a_date_after_the_study() -> None:
    assert not standing(chemo(date=None), STUDY, RULES).counts
    assert not standing(chemo(0), STUDY, RULES).counts
    assert standing(chemo(1), STUDY, RULES).counts
    assert standing(chemo(1), None, RULES).counts


def test_necrosis_counts_with_its_node_and_a_slice_or_landmark() -> None:
    assert standing_for(necr(), NODE, STUDY, RULES).counts
    assert standing_for(necr(details={"landmark": "below hyoid"}), NODE, STUDY, RULES).counts
    assert standing_for(necr(details={"slice_index": 0}), NODE, STUDY, RULES).counts
    for own in ({"details": {}}, PATIENT, at_level("R", "IIA"), {"result": "absent"}):
        assert not standing_for(necr(**own), NODE, STUDY, RULES).counts


def test_what_was_withdrawn_never_counts() -> None:
    for item in (pet(withdrawn=True), hist(withdrawn=True), necr(withdrawn=True)):
        assert "withdrawn" in standing(item, STUDY, RULES).sentence


def test_levels_hold_their_halves() -> None:
    assert levels_agree("II", "IIA")
    assert levels_agree("VB", "V")
    assert levels_agree("", "III")
    assert not levels_agree("IIA", "IIB")
    assert not levels_agree("V", "VI")
    assert not levels_agree("I", "II")


def label(value: str, *items: Item, **own: Any) -> list[str]:
    given: dict[str, Any] = {"reason": "", "rationale": "", "place": NODE, **own}
    found = label_faults(value=value, items=items, study=STUDY, rules=RULES, **given)
    assert all(fault.sentence and fault.cure for fault in found)
    return [fault.code for fault in found]


def test_metastatic_needs_evidence_that_counts_for_this_node() -> None:
    assert label("metastatic") == ["EVIDENCE_NEEDED"]
    assert label("metastatic", pet(120)) == ["EVIDENCE_NEEDED"]
    assert label("metastatic", hist(node="node-2")) == ["EVIDENCE_NEEDED"]
    assert label("metastatic", pet()) == []
    assert label("metastatic", pet(120), necr()) == []


def test_a_refusal_says_why_what_was_linked_does_not_count() -> None:
    (fault,) = label_faults(
        value="metastatic",
        reason="",
        rationale="",
        items=[pet(120)],
        place=NODE,
        study=STUDY,
        rules=RULES,
    )
    assert "120 days after the CT" in fault.sentence
    assert fault.cure == "Link evidence that counts, or choose another label."


def test_other_labels_need_no_evidence_and_may_name_some() -> None:
    assert label("non_metastatic") == []
    assert label("indeterminate", pet(result="equivocal")) == []


def test_not_assessable_needs_a_reason() -> None:
    assert label("not_assessable") == ["REASON_NEEDED"]
    assert label("not_assessable", reason="dental artefact") == []


def test_evidence_that_names_no_node_needs_a_rationale() -> None:
    assert label("metastatic", pet(**PATIENT)) == ["RATIONALE_NEEDED"]
    assert label("metastatic", pet(**PATIENT), rationale="the only avid node") == []
    assert label("metastatic", pet(**PATIENT), hist()) == []


def test_no_label_rests_on_what_was_withdrawn() -> None:
    assert label("non_metastatic", pet(withdrawn=True)) == ["EVIDENCE_WITHDRAWN"]
    assert label("metastatic", pet(withdrawn=True), hist()) == ["EVIDENCE_WITHDRAWN"]


def test_a_value_the_protocol_does_not_know_is_refused() -> None:
    assert label("benign") == ["BAD_VALUE"]


def test_what_rests_on_necrosis_alone_is_told_apart() -> None:
    def alone(value: str, *items: Item) -> bool:
        return rests_on_necrosis_alone(value, items, NODE, STUDY, RULES)

    assert alone("metastatic", necr())
    assert alone("metastatic", necr(), pet(120), hist(node="node-2"))
    assert not alone("metastatic", necr(), pet())
    assert not alone("indeterminate", necr())
    assert not alone("metastatic")


def faults(item: Item, **own: Any) -> dict[str, str]:
    given: dict[str, Any] = {
        "source": "report",
        "known_at": None,
        "today": TODAY,
        "study": STUDY,
        "slices": 12,
        "nodes_known": True,
    }
    return entry_faults(item=item, **{**given, **own})


def test_what_is_complete_may_be_entered() -> None:
    for item in (pet(), pet(120), hist(), chemo(), necr(), pet(**PATIENT), hist(result="negative")):
        assert faults(item) == {}


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (pet(kind="MRI"), "kind"),
        (pet(result="regression"), "result"),
        (pet(date=None), "date"),
        (pet(date=TODAY + datetime.timedelta(days=1)), "date"),
        (chemo(-3), "date"),
        (necr(date=day(3)), "date"),
        (hist(scope="level"), "scope"),
        (necr(**PATIENT), "scope"),
        (pet(node=""), "node"),
        (pet(**at_level("", "IIA")), "side"),
        (pet(**at_level("L", "IX")), "level"),
        (hist(details={"procedure": "needle", "correspondence": "x"}), "procedure"),
        (hist(details={"procedure": "excision"}), "correspondence"),
        (necr(details={}), "landmark"),
        (necr(details={"slice_index": 12}), "slice_index"),
        (necr(details={"slice_index": True}), "slice_index"),
        (pet(details={"suv_max": -1}), "suv_max"),
        (pet(details={"suv_max": "high"}), "suv_max"),
        (pet(details={"name": "x"}), "name"),
        (chemo(details={"therapy": "x" * 1001}), "therapy"),
    ],
)
def test_what_is_missing_or_odd_is_named_beside_its_field(item: Item, field: str) -> None:
    found = faults(item)
    assert set(found) == {field}
    assert found[field].endswith(".")


def test_a_source_and_a_sound_date_of_knowing_are_asked_for() -> None:
    assert set(faults(pet(), source="")) == {"source"}
    assert set(faults(pet(5), known_at=day(4))) == {"known_at"}
    assert set(faults(pet(5), known_at=TODAY + datetime.timedelta(days=1))) == {"known_at"}
    assert faults(pet(5), known_at=day(5)) == {}


def test_before_nodes_are_agreed_none_can_be_named() -> None:
    found = faults(pet(node=""), nodes_known=False)
    assert "side and level" in found["node"]


def test_every_item_is_one_sentence() -> None:
    assert text_of(pet(16, details={"suv_max": 8.4}), STUDY, node=3) == (
        "PET of 2026-03-20, 16 days after the CT: positive, node 3, SUVmax 8.4."
    )
    assert text_of(hist(**at_level("R", "IIA")), STUDY) == (
        "Histology of 2026-03-24, 20 days after the CT: positive by excision, right level IIA "
        "(largest node of the level)."
    )
    assert text_of(chemo(1, details={"from_mm": 18, "to_mm": 9.5}), STUDY, node=1) == (
        "Follow-up CT under chemotherapy of 2026-03-05, 1 day after the CT: regression, node 1, "
        "18 to 9.5 mm."
    )
    assert text_of(necr(), STUDY, node=2) == (
        "Central necrosis on this CT: present, node 2, slice index 7."
    )
    assert text_of(pet(**PATIENT), None) == (
        "PET of 2026-03-04: positive, of the patient as a whole."
    )


def test_days_are_counted_from_the_study() -> None:
    assert days_from_study(day(-5), STUDY) == -5
    assert days_from_study(None, STUDY) is None
    assert days_from_study(STUDY, None) is None


def test_the_protocols_block_says_what_the_defaults_say() -> None:
    for built_in in BUILT_IN:
        block = built_in["definition"].get("labels")
        if block is not None:
            assert Rules.of(block) == RULES
    assert Rules.of(None) == RULES
