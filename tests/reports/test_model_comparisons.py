"""Two models compared, on a case or on a frozen release, and who is told what."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import BadInput
from backend.imaging.grid import Grid
from backend.jobs.models import ModelVersion, Run
from backend.reports import trying
from backend.reports.model_differences import difference_of, summary_of
from backend.reports.models import ModelComparison
from backend.reports.overlay import box_around, slice_picture
from backend.reports.releases import services as releases
from tests.reports.agreed import published
from tests.reports.room import SHAPE, Room, hounsfield, offered, wanted
from tests.reports.trials import done, first_model, other, tried

__all__ = ["other"]


def test_two_models_are_compared_when_both_are_done(room: Room, other: ModelVersion) -> None:
    scientist = room.users["scientist"]
    asked = trying.compare_models(
        first=first_model(), second=other, cases=[room.case], actor=scientist
    )
    run = Run.objects.get(kind="trial")  # The first one's pre-segmentation is there already.
    assert run.model == other
    assert trying.offer_model_comparisons() == 0

    done(run, wanted())
    assert trying.offer_model_comparisons() == 1
    found = trying.measure_comparison(asked.pk)

    assert found.state == "ready", found.message
    (case,) = found.result["cases"]
    # Of the proposal's five nodes the second has all but the vessel, and one more.
    assert (case["first"]["nodes"], case["second"]["nodes"]) == (5, 5)
    assert (case["only_first"], case["only_second"]) == (1, 1)
    assert case["truth"] is None
    assert found.result["summary"]["first"]["recall"] is None
    page = room.client("scientist").get(f"/models/comparisons/{found.pk}/").content.decode()
    assert 'data-what="only first"' in page
    assert "nothing of it is released" in page
    at, count = case["slices"][0], room.case.grid.shape[0]
    assert f'{at}.png" alt="Slice {count - at} with' in page, "counted from the head"
    for row in case["rows"]:
        assert f'<td class="num">{count - row["slice"]}</td></tr>' in page
    picture = f"/models/comparisons/{found.pk}/{room.case.pk}/{case['slices'][0]}.png"
    assert room.client("coordinator").get(picture).status_code == 200
    for name in ("reader1", "adjudicator", "abstractor", "auditor", "outsider"):
        assert room.client(name).get(f"/models/comparisons/{found.pk}/").status_code == 404
        assert room.client(name).get(picture).status_code == 404


def measured(room: Room, asked: ModelComparison) -> ModelComparison:
    trying.offer_model_comparisons()
    found = trying.measure_comparison(asked.pk)
    assert found.state == "ready", found.message
    return found


def test_what_is_published_and_not_released_is_held_against_no_model(
    room: Room, other: ModelVersion
) -> None:
    published(room)
    tried(room, other, wanted())
    asked = trying.compare_models(
        first=first_model(), second=other, cases=[room.case], actor=room.users["scientist"]
    )

    found = measured(room, asked)

    assert found.release is None
    assert found.result["cases"][0]["truth"] is None
    page = room.client("scientist").get(f"/models/comparisons/{found.pk}/").content.decode()
    assert "nothing of it is released" in page


def test_on_a_release_recall_and_false_positives_are_told_to_who_sees_what_was_agreed(
    room: Room, other: ModelVersion
) -> None:
    consensus = published(room)
    coordinator = room.users["coordinator"]
    release = releases.draft_release(
        project=room.case.project, name="2026-11", held_out=20, actor=coordinator
    )
    form = {"with": str(first_model().pk), "case": f"release:{release.pk}"}
    path = f"/models/{other.pk}/compare"
    assert room.client("scientist").post(path, form).status_code == 404  # It is a draft.
    release = releases.freeze(release=release.pk, actor=coordinator)
    tried(room, other, wanted())

    assert room.client("scientist").post(path, form).status_code == 302

    found = measured(room, ModelComparison.objects.get(asked_by=room.users["scientist"]))
    (case,) = found.result["cases"]
    assert (found.release, case["consensus"]) == (release, str(consensus.pk))
    assert found.result["summary"]["with_truth"] == 1
    assert case["truth"]["first"]["of"] == case["truth"]["second"]["of"] > 0
    release.refresh_from_db()
    held_out = release.items.filter(split="locked_test").count()
    assert release.looks == (2 if held_out else 0)
    shown = f"/models/comparisons/{found.pk}/"
    theirs = room.client("scientist").get(shown).content.decode()
    assert "as released in 2026-11" in theirs
    assert 'class="truth"' in theirs
    mine = room.client("coordinator").get(shown).content.decode()
    assert "whose contents are not yours to see" in mine
    assert 'class="truth"' not in mine
    picture = f"{shown}{room.case.pk}/{case['slices'][0]}.png"
    drawn = [room.client(name).get(picture).content for name in ("scientist", "coordinator")]
    assert drawn[0] != drawn[1]


def test_a_case_on_which_a_model_failed_is_left_out_with_its_reason(
    room: Room, other: ModelVersion
) -> None:
    asked = trying.compare_models(
        first=first_model(), second=other, cases=[room.case], actor=room.users["scientist"]
    )
    run = Run.objects.get(kind="trial")
    run.state, run.message = "dead", "There is no body in this series."
    run.save()

    trying.offer_model_comparisons()
    found = trying.measure_comparison(asked.pk)

    assert found.state == "failed"
    assert "Other net 2 gave no mask" in found.message
    assert "There is no body" in found.message


def test_a_model_is_not_compared_with_itself_nor_on_nothing(
    room: Room, other: ModelVersion
) -> None:
    scientist = room.users["scientist"]
    with pytest.raises(BadInput, match="with itself"):
        trying.compare_models(first=other, second=other, cases=[room.case], actor=scientist)
    with pytest.raises(BadInput, match="none was chosen"):
        trying.compare_models(first=first_model(), second=other, cases=[], actor=scientist)


def test_what_is_drawn_is_what_the_mask_holds() -> None:
    grid = Grid.axial(SHAPE, (2.0, 0.8, 0.8))
    box = box_around([offered().max(axis=0)], grid)
    frame = hounsfield()[10]

    drawn = slice_picture(frame, grid, box, first=offered()[10] > 0, second=wanted()[10] > 0)

    assert drawn.startswith(b"\x89PNG")
    assert drawn == slice_picture(
        frame, grid, box, first=offered()[10] > 0, second=wanted()[10] > 0
    )
    assert drawn != slice_picture(frame, grid, box, first=offered()[10] > 0)


def test_one_mask_against_itself_differs_in_nothing() -> None:
    grid = Grid.axial(SHAPE, (2.0, 0.8, 0.8))
    found = difference_of(wanted(), wanted(), grid, truth=wanted(), ignored=None)

    assert (found["dice"], found["only_first"], found["only_second"]) == (1.0, 0, 0)
    assert {row["what"] for row in found["rows"]} == {"matched"}
    assert found["truth"]["first"] == found["truth"]["second"]
    said = summary_of([found])
    # The speck of a node lies below the size under which proposals do not count.
    assert (said["first"]["recall"], said["first"]["false_positives"]) == (4 / 5, 0.0)


def test_without_any_node_there_is_nothing_to_tell() -> None:
    grid = Grid.axial(SHAPE, (2.0, 0.8, 0.8))
    nothing = np.zeros(SHAPE, np.uint16)

    found = difference_of(nothing, nothing, grid, truth=None, ignored=None)

    assert (found["rows"], found["dice"], found["slices"]) == ([], None, [])
