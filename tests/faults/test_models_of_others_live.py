"""Models that are not our own, through a real worker: each kind runs, a villain's run ends dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inference.foreign import BUNDLE, NNUNET, TORCHSCRIPT, copied, described, with_pickle
from tests.jobs.site import Site

pytestmark = pytest.mark.deep


@pytest.fixture(autouse=True)
def _nothing_left(site: Site) -> Iterator[None]:
    yield
    site.clear()


def start_worker(site: Site) -> None:
    worker = site.child(
        "any-model",
        *("-m", "inference", "--name", "any-model", "--threads", "1", "--device", "cpu"),
        CONCORD_WORKER_TOKEN=site.token,
        CONCORD_LOG="INFO",
    )
    worker.start()
    site.workers.append(worker)


def test_every_kind_runs_and_what_would_run_code_ends_its_run_with_a_sentence(
    site: Site, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    sound = [copied(folder, site.models) for folder in (TORCHSCRIPT, BUNDLE, NNUNET)]
    villain = with_pickle(site.models, f"touch {touched}", "villain")
    start_worker(site)

    runs = [site.enqueue(model=str(folder)) for folder in sound]
    bad = site.enqueue(model=str(villain))
    after = site.enqueue(model=str(sound[0]))

    for run in (*runs, after):
        row = site.until_state(run, "succeeded", 180)
        provenance = row["result"]["provenance"]
        assert provenance["device"] == "CPU"
        assert any("seccomp" in words for words in provenance["sandbox"])
        assert provenance["timings"].keys() >= {"preprocess", "infer", "postprocess"}
    row = site.until_state(bad, "dead", 180)
    assert row["attempt"] == 1
    assert "reading it would run code (posix.system). It was not run." in row["message"]
    assert not touched.exists()


def test_a_description_with_a_misspelt_key_is_refused_when_it_is_registered(site: Site) -> None:
    import httpx

    folder = copied(TORCHSCRIPT, site.models, "misspelt")
    described(folder, lambda said: said["input"].update(windw_hu=[0, 1]))

    answer = httpx.post(f"{site.url}/test/runs", json={"model": str(folder)}, timeout=30)

    assert answer.status_code >= 400
    assert "input.windw_hu is not known" in answer.text
