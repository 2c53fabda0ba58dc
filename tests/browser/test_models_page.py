"""Models in a real browser: registered, verified, tried, compared, made a protocol's default.

One worker with the shipped network; the second model is the same one, more eager.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, WebSocket, expect

from fixtures.phantom import generate
from fixtures.phantom_dicom import write_series
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.room import Person, browser
from tests.postgres import ROOT
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep]
SHIPPED = "foveal-ln-ct"
EAGER = "foveal-eager"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CONCORD_MODELS with the shipped model, and one that marks more."""
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(ROOT / "inference" / "models" / SHIPPED, root / SHIPPED)
    eager = root / EAGER
    shutil.copytree(root / SHIPPED, eager)
    manifest = json.loads((eager / "model.json").read_text())
    manifest["output"]["threshold"] = 0.2
    manifest |= {"name": "Concord foveal LN-CT, eager", "version": "0.1.1"}
    card = f"# {manifest['name']}\n\nThe shipped model with a lower threshold, for this test.\n"
    (eager / "CARD.md").write_text(card)
    manifest["files"]["CARD.md"] = hashlib.sha256(card.encode()).hexdigest()
    (eager / "model.json").write_text(json.dumps(manifest))
    return root


@pytest.fixture(scope="module")
def stack(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(CONCORD_MODELS=str(models))
    made = generate(
        31, (1.5, 1.2, 1.2), (180.0, 190.0, 200.0), contrast=True, slice_mm=1.5, node_count=8
    )
    try:
        stack.start(worker=False)
        folder = write_series(made, tmp_path_factory.mktemp("ct") / "ct", patient_id="MODELS")
        stack.manage("receive", "--as-is", str(folder))
        stack.start_worker("--pause-before", "infer=1.5")
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with browser(chromium) as running:
        yield running


def wide(person: Person, name: str) -> None:
    """Pictures at both sizes people have."""
    person.picture(name)
    person.page.set_viewport_size({"width": 1920, "height": 1080})
    person.picture(f"{name}-wide")
    person.page.set_viewport_size({"width": 1280, "height": 800})


def test_a_model_goes_from_its_folder_to_a_protocols_default(stack: Stack, chrome: Browser) -> None:
    admin, coordinator = Person(chrome, stack, "admin"), Person(chrome, stack, "coordinator")
    admin.sign_in("/models/")
    admin.page.get_by_label("Folder").select_option(EAGER)
    admin.page.get_by_role("button", name="Register and verify").click()
    expect(admin.page.locator("#state .state")).to_have_text(
        re.compile("^(runnable|verified)$"), timeout=30_000
    )
    expect(admin.page.locator("tr[data-file='weights.safetensors']")).to_have_attribute(
        "data-state", "verified"
    )
    assert "lower threshold" in (admin.page.locator(".card").text_content() or "")
    model = admin.page.url

    coordinator.sign_in("/models/")
    wide(coordinator, "models")
    keeps_nobody_out(coordinator.page)
    coordinator.page.get_by_role("link", name=re.compile("eager")).click()
    until(
        lambda: stack.query("select 1 from jobs_run where state = 'succeeded'"),
        "the pre-segmentation",
        90,
        stack.words,
    )
    coordinator.page.reload()
    told: list[str | bytes] = []

    def listen(line: WebSocket) -> None:
        line.on("framereceived", lambda frame: told.append(frame))

    coordinator.page.on("websocket", listen)
    coordinator.page.get_by_role("button", name="Try on it").click()
    expect(coordinator.page.locator(".steps [aria-current]")).to_have_text("infer", timeout=60_000)
    expect(coordinator.page.locator("[data-meter='cpu'] [data-value]")).to_contain_text("%")
    wide(coordinator, "run-live")
    expect(coordinator.page.locator("#run")).to_have_attribute(
        "data-state", "succeeded", timeout=60_000
    )
    assert any('"run.gauge"' in str(frame) for frame in told)
    assert not stack.query("select 1 from audit_newsitem where type = 'run.gauge'"), "kept nowhere"
    coordinator.sees("section[data-trial] img")
    wide(coordinator, "run-trial")
    coordinator.picture("run-trial-whole", whole=True)
    keeps_nobody_out(coordinator.page)

    coordinator.page.goto(model)
    coordinator.page.get_by_role("button", name="Compare").click()
    expect(coordinator.page.locator("#comparison")).to_have_attribute(
        "data-state", "ready", timeout=90_000
    )
    coordinator.sees(".slices img")
    wide(coordinator, "model-comparison")
    coordinator.picture("model-comparison-whole", whole=True)
    assert coordinator.page.locator("tr[data-what='matched']").count() > 0
    keeps_nobody_out(coordinator.page)

    coordinator.page.goto(model)
    coordinator.page.get_by_text("Make it a protocol’s default").click()
    coordinator.page.get_by_label("Reason").fill("finds more of what readers keep")
    coordinator.page.get_by_role("button", name="Make it the default").click()
    expect(coordinator.page.locator("#state")).to_contain_text("LN-CT-BLIND")
    wide(coordinator, "model")
    coordinator.picture("model-whole", whole=True)
    keeps_nobody_out(coordinator.page)
    coordinator.page.goto("/runs/")
    wide(coordinator, "runs")
    keeps_nobody_out(coordinator.page)
    coordinator.page.goto("/releases/")
    keeps_nobody_out(coordinator.page)
    coordinator.type_into(coordinator.page.get_by_label("Name"), "none yet")
    coordinator.page.get_by_role("button", name="Draft").click()
    expect(coordinator.page.locator(".title .state")).to_have_text("draft")
    keeps_nobody_out(coordinator.page)
    assert coordinator.complaints == admin.complaints == []


def test_a_run_is_cancelled_and_run_again_from_the_keyboard(stack: Stack, chrome: Browser) -> None:
    coordinator = Person(chrome, stack, "coordinator")
    stack.kill(stack.workers[-1])
    coordinator.sign_in("/models/")
    coordinator.page.get_by_role("link", name=re.compile("eager")).click()
    coordinator.page.get_by_role("button", name="Try on it").click()
    expect(coordinator.page.locator("#run")).to_have_attribute("data-state", "queued")

    coordinator.press("c")
    coordinator.press("Enter")
    expect(coordinator.page.locator("#run")).to_have_attribute("data-state", "cancelled")

    coordinator.press("r")
    coordinator.press("Enter")
    expect(coordinator.page.locator("#run")).to_have_attribute("data-state", "queued")
