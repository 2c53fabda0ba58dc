"""Parts of the worker that need no other process."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from backend.imaging.grid import Grid
from backend.jobs.model_description import (
    ModelDamaged,
    describe_model_folder,
    read_model_folder,
)
from inference.__main__ import main
from inference.adapters import Loading, Models
from inference.meters import Stopwatch, peak_memory_bytes
from inference.orientation import Orientation
from inference.own_code import code_sha256
from tests.jobs.odd_models import ODD_MODELS
from tests.jobs.threshold import ThresholdAdapter, write_model

AXES = np.eye(3)


def grid_of(axes: tuple[int, ...], signs: tuple[int, ...]) -> Grid | None:
    """A grid whose normal, column and row directions are those signed axes; None if left-handed."""
    normal, column, row = (AXES[axis] * sign for axis, sign in zip(axes, signs, strict=True))
    if not np.allclose(np.cross(row, column), normal):
        return None
    return Grid(
        shape=(2, 3, 4),
        spacing_mm=(2.0, 3.0, 4.0),
        origin_mm=(0.0, 0.0, 0.0),
        row_direction=tuple(row),
        column_direction=tuple(column),
        sop_uids=("1.1", "1.2"),
        frame_of_reference_uid="1",
    )


GRIDS = [
    grid
    for axes in permutations(range(3))
    for signs in product((1, -1), repeat=3)
    if (grid := grid_of(axes, signs)) is not None
]


def test_there_are_24_ways_to_lay_a_volume() -> None:
    assert len(GRIDS) == 24


@pytest.mark.parametrize("grid", GRIDS)
def test_a_volume_is_turned_to_feet_front_right_and_back_again(grid: Grid) -> None:
    positions = np.array(
        [[[grid.to_patient(z, y, x) for x in range(4)] for y in range(3)] for z in range(2)]
    )
    turning = Orientation.of(grid)

    x, y, z = (turning.turn((positions[..., k]).astype(np.int16)) for k in range(3))

    assert (np.diff(z.astype(int), axis=0) > 0).all()
    assert (np.diff(y.astype(int), axis=1) > 0).all()
    assert (np.diff(x.astype(int), axis=2) > 0).all()
    labels = np.arange(24, dtype=np.uint16).reshape(2, 3, 4)
    assert (turning.turn_back(turning.turn(labels)) == labels).all()
    step = (abs(int(z[1, 0, 0]) - z[0, 0, 0]), abs(int(y[0, 1, 0]) - y[0, 0, 0]))
    assert step == turning.spacing(grid.spacing_mm)[:2]


def lease_model(root: Path, **changed: str) -> dict[str, str]:
    return {**read_model_folder(write_model(root)).named, **changed}


def test_no_odd_model_keeps_a_worker_from_telling_what_it_holds(tmp_path: Path) -> None:
    models = Models(tmp_path, loaders={"threshold": ThresholdAdapter})
    wanted = lease_model(tmp_path)
    for number, (text, _) in enumerate(ODD_MODELS.values()):
        (tmp_path / f"odd{number}").mkdir()
        (tmp_path / f"odd{number}" / "model.json").write_text(text)

    assert models.held() == {wanted["description"]}


@pytest.mark.parametrize(("text", "said"), ODD_MODELS.values(), ids=ODD_MODELS)
def test_an_odd_model_is_a_damaged_one(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "model.json").write_text(text)

    with pytest.raises(ModelDamaged, match=said) as refused:
        describe_model_folder(tmp_path)
    assert str(refused.value).endswith("Install its folder again.")


def test_a_model_is_loaded_once_and_kept_warm(tmp_path: Path) -> None:
    models = Models(tmp_path, loaders={"threshold": ThresholdAdapter})
    wanted = lease_model(tmp_path)

    assert models.get(wanted) is models.get(wanted)


def test_the_same_weights_described_otherwise_are_not_the_registered_model(
    tmp_path: Path,
) -> None:
    """Name, version and weights agree; what the network is shown does not."""
    models = Models(tmp_path, loaders={"threshold": ThresholdAdapter})
    wanted = lease_model(tmp_path)
    path = tmp_path / "threshold-test" / "model.json"
    registered = path.read_text()
    first = models.get(wanted)

    said = json.loads(registered)
    path.write_text(json.dumps({**said, "input": {"window_hu": [-1000, 1000]}}))
    with pytest.raises(ModelDamaged, match="is not the one that threshold-test 1 was registered"):
        models.get(wanted)

    path.write_text(json.dumps(said, indent=4, sort_keys=True))
    assert models.get(wanted) is first


def test_a_description_that_names_another_file_is_noticed_under_a_running_worker(
    tmp_path: Path,
) -> None:
    models = Models(tmp_path, loaders={"threshold": ThresholdAdapter})
    path = tmp_path / "threshold-test" / "model.json"
    wanted = lease_model(tmp_path)
    models.get(wanted)
    path.write_text(path.read_text().replace("threshold.json", "missing.json"))

    registered = describe_model_folder(path.parent).named
    with pytest.raises(ModelDamaged, match=r"missing\.json"):
        models.get(registered)
    with pytest.raises(ModelDamaged, match="was registered with"):
        models.get(wanted)


def test_a_model_is_loaded_apart_when_it_is_trusted(tmp_path: Path) -> None:
    asked: list[bool] = []

    def load(folder: Path, loading: Loading) -> ThresholdAdapter:
        asked.append(loading.trusted)
        return ThresholdAdapter(folder, loading)

    models = Models(tmp_path, loaders={"threshold": load})
    wanted = lease_model(tmp_path)

    assert models.get(wanted) is not models.get({**wanted, "trusted": True})
    assert models.get({**wanted, "trusted": "yes"}) is models.get(wanted)
    assert asked == [False, True]


def test_another_model_than_the_registered_one_is_not_run(tmp_path: Path) -> None:
    models = Models(tmp_path, loaders={"threshold": ThresholdAdapter})
    wanted = lease_model(tmp_path, sha256="0" * 64)

    with pytest.raises(ModelDamaged, match="not the registered threshold-test 1"):
        models.get(wanted)


def test_a_kind_of_model_the_worker_cannot_run_is_named(tmp_path: Path) -> None:
    wanted = lease_model(tmp_path)

    with pytest.raises(
        ModelDamaged, match="cannot run models of kind threshold; it runs foveal, monai"
    ):
        Models(tmp_path).get(wanted)


def test_a_folder_named_outside_the_models_folder_is_not_left(tmp_path: Path) -> None:
    wanted = lease_model(tmp_path / "elsewhere", folder="../elsewhere/threshold-test")

    with pytest.raises(ModelDamaged, match="There is no model in the folder threshold-test"):
        Models(tmp_path / "models").get(wanted)


def test_stages_that_come_back_are_added_up() -> None:
    watch = Stopwatch()
    for stage in ("fetch", "infer", "fetch", "end"):
        watch.begin(stage)

    assert watch.seconds.keys() == {"fetch", "infer"}
    assert watch.wall_seconds() >= 0
    assert watch.processor_seconds() >= 0
    assert (peak_memory_bytes() or 0) > 1 << 20


def test_starting_the_worker_imports_no_runtime_and_no_django() -> None:
    heavy = {"torch", "monai", "openvino", "scipy", "django"}
    code = f"import inference.worker, sys; print(sorted(set(sys.modules) & {heavy}))"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_a_worker_without_its_settings_says_which_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CONCORD_QUEUE_URL", raising=False)
    monkeypatch.delenv("CONCORD_WORKER_TOKEN", raising=False)

    with pytest.raises(SystemExit):
        main([])

    assert "set CONCORD_QUEUE_URL and CONCORD_WORKER_TOKEN" in capsys.readouterr().err


def test_the_code_that_made_a_result_is_named_as_sha256sum_would_name_it(tmp_path: Path) -> None:
    for name in ("inference/a.py", "inference/deep/b.py", "backend/imaging/c.py", "backend/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    named = "backend/imaging/c.py inference/a.py inference/deep/b.py"
    command = f"sha256sum {named} | sha256sum"
    said = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)  # noqa: S602

    before = code_sha256(tmp_path)
    assert said.stdout.decode().split()[0] == before
    (tmp_path / "inference/a.py").write_text("otherwise")
    assert code_sha256(tmp_path) != before
