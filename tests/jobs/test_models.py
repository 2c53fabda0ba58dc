"""Registering models: nothing is runnable until its files' hashes match."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from backend.errors import BadInput, WrongState
from backend.jobs.model_description import describe_model_folder
from backend.jobs.models import ModelVersion
from backend.jobs.selectors import default_model
from backend.jobs.services import register_model
from tests.jobs.threshold import write_model


def test_the_first_model_becomes_the_default(db: None, tmp_path: Path) -> None:
    ModelVersion.objects.update(is_default=False)
    first = register_model(folder=write_model(tmp_path, "first"), actor=None)
    second = register_model(folder=write_model(tmp_path, "second"), actor=None)

    assert default_model() == first
    assert not second.is_default


def test_registering_again_changes_nothing(db: None, tmp_path: Path) -> None:
    folder = write_model(tmp_path)

    assert register_model(folder=folder, actor=None) == register_model(folder=folder, actor=None)


def test_a_new_version_in_the_same_folder_takes_the_place_of_the_old(
    db: None, tmp_path: Path
) -> None:
    ModelVersion.objects.update(is_default=False)
    old = register_model(folder=write_model(tmp_path / "old"), actor=None)
    folder = write_model(tmp_path / "new")
    (folder / "threshold.json").write_text('{"threshold_hu": 150}')
    manifest = json.loads((folder / "model.json").read_text())
    manifest["files"]["threshold.json"] = hashlib.sha256(b'{"threshold_hu": 150}').hexdigest()
    (folder / "model.json").write_text(json.dumps(manifest))

    new = register_model(folder=folder, actor=None)

    old.refresh_from_db()
    assert default_model() == new
    assert old.retired is not None
    assert not old.is_default


def test_the_same_weights_described_otherwise_are_not_registered_as_the_known_model(
    db: None, tmp_path: Path
) -> None:
    folder = write_model(tmp_path)
    register_model(folder=folder, actor=None)
    said = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**said, "input": {"window_hu": [0, 1]}}))

    with pytest.raises(BadInput, match="give the changed model a version of its own"):
        register_model(folder=folder, actor=None)


def test_a_description_is_known_by_what_it_says_not_by_how_it_is_written(
    db: None, tmp_path: Path
) -> None:
    """As a database that keeps JSON gives it back: other spacing, other order, other numbers."""
    folder = write_model(tmp_path)
    said = {**json.loads((folder / "model.json").read_text()), "output": {"far": 1e22, "at": 1.0}}
    (folder / "model.json").write_text(json.dumps(said))
    model = register_model(folder=folder, actor=None)
    (folder / "model.json").write_text(json.dumps(said, indent=3, sort_keys=True))

    model.refresh_from_db()

    assert model.description == describe_model_folder(folder).description
    assert register_model(folder=folder, actor=None) == model


def test_a_model_whose_file_was_altered_is_refused(db: None, tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "threshold.json").write_text("{}")

    with pytest.raises(BadInput, match=r"threshold.json of the model .* is not the file"):
        register_model(folder=folder, actor=None)


def test_a_model_without_its_file_is_refused(db: None, tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "threshold.json").unlink()

    with pytest.raises(BadInput, match=r"threshold.json of the model .* is missing"):
        register_model(folder=folder, actor=None)


def test_a_model_that_names_a_file_outside_its_folder_is_refused(db: None, tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    manifest = json.loads((folder / "model.json").read_text())
    manifest["files"]["../other"] = "0" * 64
    (folder / "model.json").write_text(json.dumps(manifest))

    with pytest.raises(BadInput, match="outside its folder"):
        register_model(folder=folder, actor=None)


def test_a_retired_model_takes_no_runs(make_run, model: ModelVersion) -> None:  # type: ignore[no-untyped-def]
    from django.utils import timezone

    ModelVersion.objects.filter(pk=model.pk).update(is_default=False, retired=timezone.now())
    model.refresh_from_db()

    with pytest.raises(WrongState, match="is retired"):
        make_run(model=model)
