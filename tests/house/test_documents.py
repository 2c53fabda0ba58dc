"""What the documents say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from django.core.management import get_commands

from tests.postgres import ROOT

README = (ROOT / "README.md").read_text()
SOURCES = [
    path
    for folder in ("backend", "inference", "tests", "fixtures")
    for path in (ROOT / folder).rglob("*.py")
]


def _names_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:CONCORD_[A-Z_]+|DATABASE_(?:OWNER_)?URL)\b", text))


def test_every_environment_variable_that_is_read_stands_in_the_readme() -> None:
    read: set[str] = set()
    for path in SOURCES:
        text = path.read_text()
        for call in re.findall(
            r"(?:environ(?:\.get)?[\[(]|_flag\(|_required\()\s*\"([A-Z_]+)\"", text
        ):
            if call.startswith(("CONCORD_", "DATABASE_")):
                read.add(call)
    assert read - _names_in(README) == set()


def test_every_environment_variable_of_the_readme_is_read_somewhere() -> None:
    everything = "\n".join(path.read_text() for path in SOURCES)
    assert _names_in(README) - _names_in(everything) == set()


def test_every_command_the_readme_names_exists() -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", README))
    assert named
    assert named - set(get_commands()) == set()


def test_every_make_target_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`make ([a-z-]+)", text))
    assert named - targets == set()


def test_every_pinned_package_has_its_reason() -> None:
    decisions = (ROOT / "DECISIONS.md").read_text().lower()
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert "==" in line, f"{line} is not pinned"
            name = re.split(r"[\[=]", line)[0].lower()
            assert name in decisions, f"{name} has no reason in DECISIONS.md"


def test_only_the_agreed_folders_stand_at_the_top() -> None:
    agreed = {"backend", "frontend", "inference", "fixtures", "tests", "docker", ".ci", ".git"}
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    found = {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert found - agreed - ignored == set()


def test_no_file_is_named_for_nothing() -> None:
    banned = {"utils", "helpers", "common", "core", "managers", "mixins", "signals"}
    assert [p for p in SOURCES if Path(p).stem in banned] == []


def test_every_picture_the_readme_shows_is_there() -> None:
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert shown
    assert [path for path in shown if not (ROOT / path).is_file()] == []


def test_no_setting_stands_twice_in_the_readme() -> None:
    table = README.split("## Settings")[1].split("\n## ")[0]
    named = re.findall(
        r"`((?:CONCORD|DATABASE)_[A-Z_]+)`",
        "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")),
    )
    assert sorted(named) == sorted(set(named))
