"""The click network learns: exercises are honest, a step goes, and what is written is read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.small import small_phantom
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import read_model
from inference.prompting import click_net, learning
from inference.prompting.cases import Case, apart
from inference.prompting.click_net import CELLS, ClickNet, channels
from inference.prompting.learning import (
    Cube,
    Exercise,
    Exercises,
    Learner,
    Node,
    begun,
    nodes_of,
    started,
)
from inference.training.volumes import write_phantom


@pytest.fixture(scope="module")
def network() -> FovealOpenVINO:
    return FovealOpenVINO(read_model(), threads=1)


@pytest.fixture(scope="module")
def case() -> Case:
    made = small_phantom(4, (48, 96, 96), (1.5, 0.8, 0.8))
    nodes = tuple((node.label, node.short_axis_mm) for node in made.nodes)
    return Case(4, made.image, made.labels, made.spacing_mm, nodes)


@pytest.fixture(scope="module")
def nodes(case: Case, network: FovealOpenVINO) -> list[Node]:
    return nodes_of(case, network)


def test_every_node_has_a_small_and_a_large_cube_with_what_is_the_node(
    case: Case, nodes: list[Node]
) -> None:
    for node, (label, size) in zip(nodes, case.nodes, strict=True):
        volume = (case.labels == label).sum() * np.prod(case.spacing_mm)
        assert node.short_axis_mm == size
        assert (node.small.place.step_mm, node.large.place.step_mm) == (0.75, 1.5)
        for cube, tolerance in ((node.small, 0.1), (node.large, 0.5)):
            itself = (cube.parts == Cube.ITSELF).sum()
            assert itself * cube.place.step_mm**3 == pytest.approx(volume, rel=tolerance)


def test_both_cubes_are_seen_in_the_same_way(nodes: list[Node]) -> None:
    rng = np.random.default_rng(5)
    ended = 0
    for node in nodes * 12:
        exercise = begun(node, rng)
        if exercise.wide is None:
            continue
        place, wide = exercise.wide
        small = exercise.seen
        for which in (exercise.place, place):
            assert which.cells == CELLS
        at_mm = exercise.place.point(small.within[0])
        assert place.index(at_mm) == pytest.approx(wide.within[0])
        near = []
        for one in (small, wide):
            click = np.rint(one.within[0]).astype(int)
            around = tuple(slice(max(0, i - 1), i + 2) for i in click)
            near.append(one.hu[around][~one.blocked[around]].mean())
        assert near[0] == pytest.approx(near[1], abs=45), "the same tissue at the click"
        # What lies beyond the scan's end does so in both.
        heights = [
            corner + (np.flatnonzero(seen.blocked.all(axis=(1, 2))) + 0.5) * seen.step_mm
            for corner, seen in ((exercise.place.corner_mm[0], small), (place.corner_mm[0], wide))
        ]
        if len(heights[0]):
            ended += 1
            assert heights[1].min() <= heights[0].max() + 1.5
            assert heights[1].max() >= heights[0].min() - 1.5
        answer = np.where(exercise.truth, -1, 1).astype(np.float32)
        exercise.answered(answer)
        assert exercise.wide is not None
        after = exercise.wide[1]
        assert len(after.within) + len(after.beside) == exercise.clicks == 2
        assert after.before is not None
        share = after.before.sum() * 1.5**3 / ((answer > 0) & ~small.blocked).sum() / 0.75**3
        assert share == pytest.approx(1, abs=0.15), "the answer lies in the large cube as well"
    assert ended > 0


def test_a_click_lies_in_the_node_and_the_next_where_the_answer_was_wrong(
    nodes: list[Node],
) -> None:
    rng = np.random.default_rng(2)
    for one in nodes * 4:
        exercise = begun(one, rng)
        z, y, x = np.rint(exercise.seen.within[0]).astype(int)
        near = exercise.truth[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2]
        assert near.any(), "the first click lies in the node, or half a voxel beside its voxel"
        nothing = np.full((CELLS,) * 3, -1, np.float32)
        assert exercise.answered(nothing) == 0
        assert exercise.clicks == 2
        assert exercise.truth[tuple(exercise.seen.within[1].astype(int))]
        everything = -nothing
        exercise.answered(everything)
        assert not exercise.truth[tuple(exercise.seen.beside[0].astype(int))]
        assert exercise.seen.before is not None
        assert not (exercise.seen.before & exercise.seen.blocked).any()
        right = np.where(exercise.truth, 1, -1).astype(np.float32)
        assert exercise.answered(right) == 1
        assert exercise.clicks == 3, "nothing was wrong: no click"


def test_without_an_opinion_its_channel_is_empty(nodes: list[Node]) -> None:
    exercise = begun(nodes[0], np.random.default_rng(1))
    blind = channels(replace(exercise.seen, opinion=None))
    assert not blind[1].any()
    assert not blind[6].any()
    ones = np.ones((CELLS,) * 3, np.float32)
    assert channels(replace(exercise.seen, opinion=ones))[1].all()
    assert channels(replace(exercise.seen, wide=ones))[6].all()
    assert blind[2].max() > 0.8
    assert not blind[3].any()


def test_it_begins_with_what_the_default_model_knows() -> None:
    own = started().state_dict()
    model = read_model()
    known = learning.load_file(model.file("weights.safetensors"))
    for name, value in known.items():
        part = own[name].numpy()[:, : value.shape[1]] if value.ndim > 1 else own[name].numpy()
        assert (part == value).all(), name


def test_a_run_leaves_curve_and_weights_that_the_product_reads_and_repeats(
    case: Case,
    nodes: list[Node],
    network: FovealOpenVINO,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(learning, "WEIGHTS", tmp_path / "click.safetensors")
    monkeypatch.setattr(click_net, "WEIGHTS", tmp_path / "click.safetensors")
    monkeypatch.setattr(learning, "FACTS", tmp_path / "click.json")
    monkeypatch.setattr(learning, "WATCHED", 2)
    torch.manual_seed(1)
    learner = Learner(started(), Exercises(nodes, 1), Exercises(nodes, 2), tmp_path)
    before = [one.detach().clone() for one in learner.net.parameters()]
    learner.run(minutes=0.02, peak_rate=1e-3)
    assert learner.step > 0
    assert any((a != b).any() for a, b in zip(before, learner.net.parameters(), strict=True))
    last = (tmp_path / "curve.csv").read_text().splitlines()[-1].split(",")
    assert last[:2] == ["watched", str(learner.step)]
    (tmp_path / "click.json").write_text('{"phases": [{"command": "the first"}]}')
    (tmp_path / "record.json").write_text('{"command": "the second", "went_on": true}')
    for _ in range(2):  # The second time changes nothing.
        learning.write(tmp_path, [], [case], [], network)
    facts = json.loads((tmp_path / "click.json").read_text())
    assert [phase["command"] for phase in facts["phases"]] == ["the first", "the second"]
    assert (tmp_path / "curve-2.csv").read_text() == (tmp_path / "curve.csv").read_text()
    assert facts["chosen_on"] == [4]
    assert len(facts["dice_after_each_click_where_chosen"]["without"]) == learning.CLICKS
    judge = click_net.read_click_net(threads=1)
    exercise: Exercise = begun(nodes[0], np.random.default_rng(3))
    with torch.no_grad():
        stack = torch.from_numpy(channels(exercise.seen))[None]
        mirrored = learner.average(stack.flip(-1)).flip(-1)
        of_torch = (learner.average(stack) + mirrored)[0, 0].numpy() / 2
    in_openvino = judge.logits(exercise.seen)
    assert np.abs(in_openvino - of_torch).mean() < 0.05 * np.abs(of_torch).mean() + 0.02
    again = judge.logits(exercise.seen)
    assert (again == in_openvino).all()
    assert isinstance(judge, ClickNet)


def test_the_command_learns_sets_apart_and_says_how_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(learning, "WATCHED", 1)
    for name, seed in (("shown", 1), ("shown", 2), ("hidden", 3)):
        (tmp_path / name).mkdir(exist_ok=True)
        write_phantom(tmp_path / name, small_phantom(seed, (24, 48, 48), (1.5, 0.8, 0.8)))

    shown, hidden, out = (str(tmp_path / name) for name in ("shown", "hidden", "run"))
    asked = [shown, "--blind", hidden, "--apart", "2", "--out", out, "--minutes", "0.01"]
    learning.main([*asked, "--threads", "1", "--go-on"])

    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert record["command"] == (
        "python -m inference.prompting.learning SHOWN --blind HIDDEN --apart 2 "
        "--out RUN --minutes 0.01 --peak-rate 0.0015 --seed 1 --threads 1 --go-on"
    )
    assert (record["phantoms"], record["went_on"]) == (2, True)
    assert record["steps"] > 0
    assert "6 nodes of 2 phantoms, 3 apart" in capsys.readouterr().err


def test_a_phantom_set_apart_must_be_there(case: Case) -> None:
    learned, chosen = apart([replace(case, seed=seed) for seed in range(4)], [1, 3])
    assert [[one.seed for one in part] for part in (learned, chosen)] == [[0, 2], [1, 3]]
    with pytest.raises(ValueError, match=r"seeds \[9\]"):
        apart([case], [4, 9])
