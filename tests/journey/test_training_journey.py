"""From agreed readings to the next model: released, trained, watched, compared, made the default.

Six small phantoms are read by simulated readers; everything after that is done in a browser.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from fixtures.phantom_dicom import write_series
from fixtures.small import SmallNode, small_phantom
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.room import Person
from tests.postgres import ROOT
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(560)]
SHIPPED = ROOT / "inference" / "models" / "foveal-ln-ct"
VERSION = json.loads((SHIPPED / "model.json").read_text())["version"]
PEOPLE = 6
MINUTES = "0.3"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    models = tmp_path / "models"
    shutil.copytree(SHIPPED, models / SHIPPED.name)
    stack = Stack(CONCORD_MODELS=str(models))
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


@pytest.fixture
def truths(tmp_path: Path) -> Path:
    """Phantoms of six people, each with its truth beside it."""
    for number in range(PEOPLE):
        nodes = [
            SmallNode((0.5, 0.35, 0.4), (8.0, 6.0, 6.0 + number / 2)),
            SmallNode((0.45, 0.65, 0.62), (7.0, 8.0, 7.0)),
        ]
        made = small_phantom(number, (24, 64, 64), (2.0, 1.0, 1.0), nodes)
        made.settings["contrast"] = True
        write_series(made, tmp_path / f"p{number}", patient_id=f"TRAIN-{number}")
    return tmp_path


def read_by_two(stack: Stack, truths: Path) -> None:
    """Received, pre-segmented, read by both readers, agreed on and signed."""
    stack.manage("receive", "--as-is", *(str(truths / f"p{n}") for n in range(PEOPLE)))
    done = "select count(*) from jobs_run where state in ('succeeded', 'dead')"
    until(lambda: stack.query(done) == [(PEOPLE,)], "every pre-segmentation", 180, stack.words)
    assert readers(stack, "read", str(truths)) == 2 * PEOPLE
    agreed = "select count(*) from reading_consensus where state in ('labelling', 'ready')"
    until(lambda: stack.query(agreed) == [(PEOPLE,)], "all to be agreed on", 120, stack.words)
    assert readers(stack, "agree") == PEOPLE


def readers(stack: Stack, *asked: str) -> int:
    """Have the simulated readers do something; how often they did it."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.journey.simulated_readers", *asked],
        cwd=ROOT,
        env={**os.environ, **stack.environment, "DJANGO_SETTINGS_MODULE": "backend.settings"},
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:] + stack.words()
    return int(done.stdout)


def test_a_release_becomes_the_protocols_default_model(
    chrome: Browser, stack: Stack, truths: Path
) -> None:
    read_by_two(stack, truths)
    coordinator = Person(chrome, stack, "coordinator")
    page = coordinator.page

    coordinator.sign_in("/releases/")
    keeps_nobody_out(page)
    coordinator.type_into(page.get_by_label("Name"), "first six")
    page.get_by_role("button", name="Draft").click()
    page.get_by_role("button", name="Freeze").click()
    expect(page.locator(".title .state")).to_have_text("frozen")
    keeps_nobody_out(page)

    page.goto("/models/")
    expect(page.locator("#training")).not_to_contain_text("No worker at work")
    coordinator.picture("training-1-models")
    keeps_nobody_out(page)
    coordinator.type_into(page.get_by_label("Minutes"), MINUTES)
    page.get_by_role("button", name="Start training").click()

    curves = page.locator("[data-curves]")
    expect(curves.locator("polyline[data-curve='training']")).to_have_count(1, timeout=90_000)
    grown = _points(coordinator)
    until(lambda: _points(coordinator) > grown + 2, "the curve to grow", 90, stack.words)
    until(
        lambda: stack.query("select 1 from reports_trainingpoint where curve = 'validation'"),
        "a look at the validation people", 90, stack.words,
    )  # fmt: skip
    coordinator.picture("training-2-live")
    keeps_nobody_out(page)
    page.locator("[data-plot]").focus()
    page.keyboard.press("ArrowLeft")
    expect(curves.locator("[data-words]")).to_contain_text(re.compile("Point [0-9]+ of"))
    page.keyboard.press("Escape")
    # No look at the scores of what readers agreed on, for who coordinates.
    assert curves.locator("[data-figures]").count() == 0

    stack.kill(stack.workers[0])
    stack.start_worker()
    expect(page.locator("tr[data-attempt='2']")).to_have_count(1, timeout=60_000)
    before = stack.query("select max(step) from reports_trainingpoint")[0][0]
    expect(page.locator("#run")).to_have_attribute("data-state", "succeeded", timeout=180_000)
    made = page.locator("[data-made]")
    expect(made).to_be_visible(timeout=30_000)
    assert stack.query("select max(step) from reports_trainingpoint")[0][0] >= before
    coordinator.picture("training-3-done", whole=True)
    keeps_nobody_out(page)

    compare = made.get_by_role("button", name=f"Compare with {VERSION}")
    until(lambda: page.reload() and compare.count(), "the files to be verified", 30, stack.words)
    compare.click()
    expect(page.locator("#comparison")).to_have_attribute("data-state", "ready", timeout=120_000)
    # The new version found both nodes of each phantom, whatever its parent did.
    found = page.locator("section[aria-label='Cases'] td:nth-child(2)").all_inner_texts()
    assert [nodes.split(" · ")[0] for nodes in found] == ["2"] * PEOPLE, found
    coordinator.sees(".slices img")
    coordinator.picture("training-4-comparison", whole=True)
    keeps_nobody_out(page)

    page.goto("/models/")
    page.locator("#models").get_by_role("link", name=re.compile(f"{VERSION}-t1")).click()
    _is_made_the_default(coordinator)
    _is_measured_for_scientists(chrome, stack, page.url)
    assert coordinator.complaints == coordinator.foreign == []


def _points(person: Person) -> int:
    return int(person.page.locator("[data-curves]").get_attribute("data-points") or 0)


def _is_made_the_default(coordinator: Person) -> None:
    page = coordinator.page
    expect(page.locator(".card")).to_contain_text("synthetic phantoms alone")
    page.get_by_text("Make it a protocol’s default").click()
    page.get_by_label("Reason").fill("learnt from what we agreed on")
    page.get_by_role("button", name="Make it the default").click()
    expect(page.locator("#state")).to_contain_text("LN-CT-BLIND")
    coordinator.picture("training-5-default", whole=True)
    keeps_nobody_out(page)


def _is_measured_for_scientists(chrome: Browser, stack: Stack, model: str) -> None:
    scientist = Person(chrome, stack, "scientist")
    scientist.sign_in(model.removeprefix(stack.url))
    origin = scientist.page.get_by_label("Where it comes from")
    expect(origin).to_contain_text("On people held out")
    (looks,) = stack.query("select looks from reports_release")[0]
    # One of the training, one of each model in the comparison.
    assert looks == 3
    scientist.picture("training-6-scientist", whole=True)
    origin.get_by_role("link", name="its training").click()
    expect(scientist.page.locator("polyline[data-curve='validation']")).to_have_count(1)
    expect(scientist.page.locator("[data-figures]")).to_be_visible()
    scientist.picture("training-7-scientists-run", whole=True)
    assert scientist.complaints == scientist.foreign == []
