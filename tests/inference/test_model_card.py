"""A card's figures come from what was measured; its pictures from the scans it names."""

import json

import numpy as np
import pytest
from PIL import Image

from inference.model_card import BEGIN, END, measured, write
from inference.model_folder import DEFAULT_MODEL, sha256_of
from inference.model_pictures import RECALLS, chosen_seeds, curves, read_curves
from inference.reality import OUTLINES, few_colours, overlay


def row(what, ours, target=None, met=None, unit="share"):
    return {
        "what": what, "ours": ours, "unit": unit, "peer": 0.7, "target": target, "met": met,
    }  # fmt: skip


REPORT = {
    "sizes": {
        "phantoms": 20, "shifted_phantoms": 20, "generator_version": "3",
        "nodes": 600, "nodes_15mm": 13, "nodes_necrotic": 21,
    },
    "rows": [
        row("recall", 0.81, ">= 0.8", True),
        row("Dice", 0.7, ">= 0.8", False),
        row("time", 1.0, unit="s"),
    ],
    "model": {"version": "9"},
}  # fmt: skip
REALITY = {
    "planted": 20, "planting_seed": 1, "found": 13, "other_candidates": 2, "met": False,
    "others": [{"lies_in": "ear"}, {"lies_in": "soft tissue"}],
}  # fmt: skip


def test_a_missed_target_is_said_and_an_older_model_stands_beside(tmp_path):
    older = {"rows": [row("recall", 0.64)], "model": {"version": "8"}}
    text = measured(REPORT, older, REALITY, tmp_path)
    assert "| recall | 0.7 | >= 0.8 | 0.81 | yes | 0.64 |" in text
    assert "| Dice | 0.7 | >= 0.8 | 0.7 | **no** | – |" in text
    assert "time" not in text
    assert "13 found, 2 other candidates (1 in ear, 1 in soft tissue)" in text
    assert "not met" in text
    assert "![" not in text
    assert "Pictures of the real CT are not shipped" in text
    for name in ("best.png", "curves.png", "reality.png"):
        (tmp_path / name).write_bytes(b"")
    text = measured(REPORT, older, REALITY, tmp_path)
    assert [f"]({name})" in text for name in ("curves.png", "best.png", "worst.png")] == [1, 1, 0]
    assert "not shipped" not in text


def test_the_card_is_written_between_its_markers_and_its_digest_renewed(tmp_path):
    card = tmp_path / "CARD.md"
    card.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    (tmp_path / "model.json").write_text(json.dumps({"files": {"CARD.md": "old"}}))
    write(tmp_path, "new")
    assert card.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    described = json.loads((tmp_path / "model.json").read_text())
    assert described["files"] == {"CARD.md": sha256_of(card)}


def test_a_card_without_markers_is_left_alone(tmp_path):
    (tmp_path / "CARD.md").write_text("all by hand")
    with pytest.raises(ValueError, match="no markers"):
        write(tmp_path, "new")
    assert (tmp_path / "CARD.md").read_text() == "all by hand"


def test_best_median_and_worst_are_ranked_by_recall_then_false_positives():
    scans = [
        {"seed": seed, "recall_5mm": recall, "false_positives": alarms}
        for seed, recall, alarms in (
            (1, 0.5, 3),
            (2, 0.9, 4),
            (3, 0.9, 2),
            (4, None, 1),
            (5, 0.7, 0),
        )
    ]
    assert chosen_seeds(scans) == {"best": 3, "median": 5, "worst": 4}


def test_the_shipped_models_curves_are_drawn_over_all_phases():
    found = read_curves(DEFAULT_MODEL)
    assert len(found["loss"]) > 20
    for name in RECALLS:
        assert all(0 <= value <= 1 for _, value in found[name])
    minutes = [x for x, _ in found["loss"]]
    assert minutes == sorted(minutes)
    assert curves(DEFAULT_MODEL).width > 400


def test_the_loss_on_validation_phantoms_is_drawn_where_it_was_watched(tmp_path):
    (tmp_path / "loss-1.csv").write_text("step,seconds,loss\n1,60,1.5\n2,120,1.0\n")
    (tmp_path / "validation_loss-1.csv").write_text("step,seconds,loss\n2,120,1.2\n")
    (tmp_path / "validation-1.csv").write_text("seconds,threshold," + ",".join(RECALLS) + "\n")
    found = read_curves(tmp_path)
    assert found["loss"] == [(1.0, 1.5), (2.0, 1.0)]
    assert found["validation_loss"] == [(2.0, 1.2)]
    assert curves(tmp_path).height > 200


def test_outlines_keep_their_colours_in_a_small_file():
    hu = np.random.default_rng(0).normal(40, 60, (64, 64)).astype(np.int16)
    masks = [np.zeros((64, 64), bool) for _ in OUTLINES]
    for number, mask in enumerate(masks):
        mask[10:20, 10 + 18 * number : 20 + 18 * number] = True
    small = few_colours(Image.fromarray(overlay(hu, *masks))).convert("RGB")
    assert {small.getpixel((10 + 18 * n, 10)) for n in range(3)} == set(OUTLINES)
