"""The container files name only what exists: variables, sources, commands, addresses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.urls import resolve

from backend.supervisor import web_command

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKER = ROOT / "docker"
DOCKERFILES = ("Dockerfile.web", "Dockerfile.worker")
READ_IN = ("backend/settings.py", "backend/database.py", "inference/__main__.py")
# What compose alone reads, to fill in the others.
OF_COMPOSE = {
    "CONCORD_OWNER_PASSWORD",
    "CONCORD_WEB_PASSWORD",
    "CONCORD_QUEUE_PASSWORD",
    "CONCORD_WORKER_LOG",
    "CONCORD_WORKER_TORCH",
}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yml").read_text())
    return found


def instructions(name: str) -> list[tuple[str, str]]:
    """(instruction, argument) of a Dockerfile, continued lines joined."""
    text = (DOCKER / name).read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [
        (line.split(None, 1)[0], line.split(None, 1)[1])
        for line in lines
        if line and not line.startswith("#")
    ]


def known_variables() -> set[str]:
    text = "".join((ROOT / path).read_text() for path in READ_IN)
    return set(re.findall(r'"((?:CONCORD|DATABASE)_[A-Z_]+)"', text))


def test_every_variable_is_one_that_concord_reads():
    named: set[str] = set()
    for service in compose()["services"].values():
        named |= {n for n in service.get("environment", {}) if not n.startswith("POSTGRES_")}
    for name in DOCKERFILES:
        for instruction, argument in instructions(name):
            if instruction == "ENV":
                named |= set(re.findall(r"\b((?:CONCORD|DATABASE)_\w+)=", argument))
    assert named
    assert named <= known_variables()


def test_every_variable_that_compose_asks_for_is_explained_or_known():
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DOCKER / "compose.yml").read_text()))
    assert asked <= known_variables() | OF_COMPOSE
    assert asked >= OF_COMPOSE


@pytest.mark.parametrize("name", DOCKERFILES)
def test_every_copied_source_exists(name: str):
    sources = []
    for instruction, argument in instructions(name):
        words = argument.split()
        if instruction == "COPY" and not words[0].startswith("--from="):
            sources += words[:-1]
    assert sources
    assert [s for s in sources if not (ROOT / s).exists()] == []


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_images_are_built_from_the_repository_and_run_unprivileged(name: str):
    found = instructions(name)
    assert ("FROM", "python:3.11-slim") in found
    assert [argument for instruction, argument in found if instruction == "USER"] == ["concord"]
    assert (DOCKER / f"{name}.dockerignore").exists()
    used = [s["build"] for s in compose()["services"].values() if "build" in s]
    assert ("..", f"docker/{name}") in [(b["context"], b["dockerfile"]) for b in used]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_a_container_writes_to_is_its_own(name: str):
    """A folder that a volume is mounted on has the image's owner; any other is root's."""
    made = next(a for i, a in instructions(name) if i == "RUN" and "useradd" in a)
    owned = set(made.split("chown concord ")[1].split())
    for service in compose()["services"].values():
        if service.get("build", {}).get("dockerfile") == f"docker/{name}":
            mounted = [volume.split(":")[1:] for volume in service["volumes"]]
            assert {path for path, *how in mounted if not how} <= owned
    folders = {
        value
        for instruction, argument in instructions(name)
        if instruction == "ENV"
        for value in re.findall(r"CONCORD_(?:STATE|MODELS|WORKER_CACHE)=(\S+)", argument)
    }
    assert folders == owned


def test_what_was_trained_is_written_by_the_work_process_and_read_by_workers():
    services = compose()["services"]
    assert "models:/models" in services["work"]["volumes"]
    assert "models:/models:ro" in services["worker"]["volumes"]
    torch = re.search(r"^torch==(.+)$", (ROOT / "requirements-test.txt").read_text(), re.M)
    assert torch
    for file in ("docker/Dockerfile.worker", "docker/compose.yml"):
        assert torch.group(1) in (ROOT / file).read_text()


def test_the_web_image_serves_as_the_supervisor_does():
    argument = next(a for i, a in instructions("Dockerfile.web") if i == "CMD")
    ours, theirs = json.loads(argument), web_command(8000)
    assert ours[0] == "python"
    host = theirs.index("--host") + 1
    assert ours[1:host] + ours[host + 1 :] == theirs[1:host] + theirs[host + 1 :]


def test_the_commands_are_those_of_the_readme():
    readme = (ROOT / "README.md").read_text()
    services = compose()["services"]
    for name, words in (("work", "manage.py work"), ("setup", "manage.py setup")):
        assert " ".join(services[name]["command"]).removeprefix("python ") == words
        assert words in readme
    worker = json.loads(next(a for i, a in instructions("Dockerfile.worker") if i == "CMD"))
    assert " ".join(worker) == "python -m inference"
    assert services["worker"]["command"][-1].endswith("exec python -m inference")
    assert "python -m inference" in readme


def test_the_viewer_is_built_as_the_makefile_builds_it():
    makefile = (ROOT / "Makefile").read_text()
    for command in ("npm ci --silent --no-audit --no-fund", "npm run --silent vendor"):
        assert command in makefile
        assert any(command in a for i, a in instructions("Dockerfile.web") if i == "RUN")


def test_services_wait_for_one_another_and_the_web_says_when_it_is_ready():
    services = compose()["services"]
    check = next(a for i, a in instructions("Dockerfile.web") if i == "HEALTHCHECK")
    path = re.search(r"127\.0\.0\.1:8000(/\w+)", check)
    assert path
    assert resolve(path.group(1)).url_name == "readyz"
    assert services["setup"]["depends_on"]["database"]["condition"] == "service_healthy"
    assert services["web"]["depends_on"]["setup"]["condition"] == "service_completed_successfully"
    for name in ("work", "worker"):
        assert services[name]["depends_on"]["web"]["condition"] == "service_healthy"
    assert services["database"]["image"] == "postgres:18"
    assert services["web"]["ports"][0].startswith("127.0.0.1:")


def test_no_password_is_written_down():
    text = (DOCKER / "compose.yml").read_text()
    passwords = re.findall(r"://\w+:([^@\n]+)@", text) + re.findall(r"PASSWORD: (.+)", text)
    assert passwords
    assert all(p.startswith("${") and ":?" in p for p in passwords)
