"""Training: refuses frozen seeds, writes its curves, goes on from its checkpoint."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from fixtures.freeze import RESERVED_SEEDS
from fixtures.small import SmallNode, small_phantom
from inference.__main__ import main
from inference.training.sampling import STRATA, WIDE_SCALE, PatchSampler
from inference.training.trainer import Plan, Trainer
from inference.training.volumes import write_phantom


@pytest.fixture
def data(tmp_path):
    """Two volumes to train on and one to validate on, written as training writes them."""
    for kind, seeds in (("train", (1, 2)), ("validation", (3,))):
        folder = tmp_path / kind
        folder.mkdir()
        for seed in seeds:
            node = SmallNode((0.5, 0.5, 0.5), (8.0, 8.0, 8.0))
            made = small_phantom(seed, (32, 48, 48), (1.0, 1.0, 1.0), [node])
            write_phantom(folder, made)
    return tmp_path


PLAN = Plan(minutes=0.01, batch=1, patch=(16, 32, 32), mine_every=3, threads=1)


def steps_in(curve):
    with curve.open() as stream:
        return [int(row["step"]) for row in csv.DictReader(stream)]


def test_a_run_leaves_checkpoint_curves_and_record_and_goes_on_from_them(data):
    out = data / "out"
    first = Trainer(PLAN, data / "train", data / "validation", out)
    first.run()
    record = json.loads((out / "record.json").read_text())
    assert record["training_seeds"] == [1, 2]
    assert record["validation_seeds"] == [3]
    assert steps_in(out / "loss.csv")
    assert steps_in(out / "validation.csv")
    longer = replace(PLAN, minutes=first.spent_s / 60 + PLAN.minutes)
    with (out / "loss.csv").open("a") as stream:
        stream.write(f"{first.step + 1},9.0,1.0,1e-3,2\n")  # Written after the checkpoint.
    again = Trainer(longer, data / "train", data / "validation", out)
    again.resume()
    assert again.step == first.step
    assert max(steps_in(out / "loss.csv")) <= first.step
    again.run()
    assert again.step > first.step
    assert max(steps_in(out / "loss.csv")) > record["steps"] - PLAN.mine_every


def test_every_kind_of_node_has_its_own_share_of_the_patches(data):
    assert sum(STRATA.values()) == pytest.approx(1)
    sampler = PatchSampler(data / "train", 0, (16, 32, 32))
    (kinds,) = {tuple(entry.by_stratum) for entry in sampler.entries.values()}
    assert kinds == ("bulky",)
    image, truth = sampler.patch()
    assert image.shape == truth.shape == (16, 32, 32)
    assert set(np.unique(truth)) <= {0, 1}


def test_patches_are_shown_in_other_sizes_and_small_nodes_are_undecided_at_half(data, monkeypatch):
    both = [
        SmallNode((0.5, 0.5, 0.36), (7.0, 6.0, 6.0)),
        SmallNode((0.5, 0.5, 0.7), (4.0, 2.5, 2.5)),
    ]
    made = small_phantom(1, (32, 32, 32), (1.0, 1.0, 1.0), both)
    write_phantom(data / "train", made)
    (data / "train" / "2.json").unlink()
    large, small = ((made.labels == label).sum() for label in (1, 2))

    def shown(scale, side):
        monkeypatch.setattr(PatchSampler, "_scale", lambda self: scale)
        image, truth = PatchSampler(data / "train", 0, side).patch()
        assert image.shape == truth.shape == side
        assert image[truth == 1].mean() > image[truth == 0].mean()
        return truth

    half = shown(WIDE_SCALE, (16, 16, 16))
    assert (half == 1).sum() * 8 == pytest.approx(large, rel=0.2)
    assert (half == -1).sum() * 8 == pytest.approx(small, rel=0.35)
    whole = shown(1.0, (32, 32, 32))
    assert (whole == 1).sum() == large + small
    grown = shown(1.25, (32, 32, 32))
    assert set(np.unique(grown)) == {0, 1}
    assert shown(WIDE_SCALE, (32, 32, 32)).min() == 0, "what is larger than the scan is not shrunk"


def test_frozen_test_seeds_are_refused_for_training(data, capsys):
    folders = ["--data", str(data), "--out", str(data / "out")]
    with pytest.raises(SystemExit):
        main(["train", "LN-CT", *folders, "--first-seed", str(RESERVED_SEEDS.start)])
    assert "frozen" in capsys.readouterr().err
    assert not (data / "out").exists()


def test_resuming_what_was_never_begun_is_an_error_that_says_so(data, capsys):
    with pytest.raises(SystemExit):
        main(["train", "LN-CT", "--data", str(data), "--out", str(data / "none"), "--resume"])
    assert "no checkpoint" in capsys.readouterr().err


def test_patches_that_the_network_cannot_halve_are_refused(data, capsys):
    folders = ["--data", str(data), "--out", str(data / "out")]
    with pytest.raises(SystemExit):
        main(["train", "LN-CT", *folders, "--patch", "48", "80", "81"])
    assert "multiple of 16" in capsys.readouterr().err
