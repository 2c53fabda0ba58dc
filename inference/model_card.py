"""``python -m inference.model_card BENCHMARK.json --before OLDER.json --reality REALITY.json``.

Writes the part of a model's card that is measured, between its two markers, from what
``manage.py benchmark model`` and ``inference.reality`` wrote, with the pictures that
``inference.model_pictures`` left in the folder, and takes card and pictures into the digests of
``model.json``. Figures are never typed by hand.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from inference.model_folder import DEFAULT_MODEL, sha256_of

BEGIN, END = "<!-- measured: written by inference.model_card -->", "<!-- end of measured -->"


PICTURES = {
    "curves.png": "Curves of the training: loss in training and, where it was watched, on "
    "validation phantoms; recall on validation phantoms by size and necrosis",
    "best.png": "The best of the frozen phantoms: truth green, found blue, false alarms red",
    "median.png": "The median phantom, in the same colours",
    "worst.png": "The worst phantom, in the same colours",
    "reality.png": "The real CT with planted nodes, in the same colours",
}
"""What a card shows, as far as it lies in the model's folder."""


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def table(report: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    """Return the benchmark's rows as a table, beside those of an older model."""
    older = {row["what"]: row["ours"] for row in before["rows"]} if before else {}
    head = "| on the frozen phantoms | published | to reach | this model | met |"
    lines = [head, "|---|---|---|---|---|"]
    if before:
        name = before["model"]["version"]
        lines = [head + f" {name} |", "|---|---|---|---|---|---|"]
    for row in report["rows"]:
        if row["unit"] == "s":
            continue  # as busy as the machine was
        met = {True: "yes", False: "**no**", None: ""}[row["met"]]
        target = row["target"] or ""
        line = (
            f"| {row['what']} | {_shown(row['peer'])} | {target} | {_shown(row['ours'])} | {met} |"
        )
        lines.append(line + (f" {_shown(older.get(row['what']))} |" if before else ""))
    return lines


def planted(reality: dict[str, Any]) -> list[str]:
    """Return what was found of the nodes planted in the real CT."""
    places: dict[str, int] = {}
    for other in reality["others"]:
        places[other["lies_in"]] = places.get(other["lies_in"], 0) + 1
    where = ", ".join(f"{count} in {place}" for place, count in sorted(places.items())) or "none"
    verdict = "met" if reality["met"] else "not met"
    return [
        f"On one real unenhanced head-and-neck CT with {reality['planted']} phantom nodes planted "
        f"in it (seed {reality['planting_seed']}): {reality['found']} found, "
        f"{reality['other_candidates']} other candidates ({where}). To reach: at least 12 found, "
        f"at most 10 others, none in ears, eyes, bone, table or air: {verdict}.",
    ]


def pictures(folder: Path, reality: dict[str, Any] | None) -> list[str]:
    """Return the pictures of the folder, each under its words; what is not there is said."""
    lines = []
    for name, words in PICTURES.items():
        if (folder / name).is_file():
            lines += [f"{words}.", "", f"![{words}]({name})", ""]
    if reality and not (folder / "reality.png").is_file():
        lines.append(
            "Pictures of the real CT are not shipped with it; "
            "`python -m inference.model_pictures --scan` draws them."
        )
    return lines


def measured(
    report: dict[str, Any],
    before: dict[str, Any] | None,
    reality: dict[str, Any] | None,
    folder: Path,
) -> str:
    """Return the measured part of the card in Markdown, with the pictures of its folder."""
    sizes = report["sizes"]
    lines = [
        f"Through the worker's pipeline on {sizes['phantoms']} phantoms of generator "
        f"{sizes['generator_version']} and {sizes['shifted_phantoms']} of its shifted setting, "
        "both frozen by hash before training (`fixtures/frozen.json`): "
        f"{sizes['nodes']} nodes, {sizes['nodes_15mm']} of 15 mm or more, "
        f"{sizes['nodes_necrotic']} necrotic (`manage.py benchmark model`).",
        "",
        *table(report, before),
        "",
        *(planted(reality) if reality else []),
        "",
        *pictures(folder, reality),
    ]
    return "\n".join(lines).strip()


def write(folder: Path, text: str) -> None:
    """Put the text between the card's markers and renew the digests of the folder."""
    card = folder / "CARD.md"
    content = card.read_text()
    if BEGIN not in content or END not in content:
        raise ValueError(f"{card} has no markers for what was measured: put in {BEGIN} and {END}.")
    start, rest = content.split(BEGIN, 1)
    end = rest.split(END, 1)[1]
    card.write_text(f"{start}{BEGIN}\n{text}\n{END}{end}")
    path = folder / "model.json"
    described = json.loads(path.read_text())
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "model.json")
    described["files"] = {p.name: sha256_of(p) for p in files}
    path.write_text(json.dumps(described, indent=2) + "\n")


def main() -> None:
    """Write the card of the model folder named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m inference.model_card", description=__doc__)
    parser.add_argument("benchmark", type=Path)
    parser.add_argument("--before", type=Path, help="benchmark of the model this one replaces")
    parser.add_argument("--reality", type=Path)
    parser.add_argument("--folder", type=Path, default=DEFAULT_MODEL)
    chosen = parser.parse_args()

    def read(path: Path | None) -> dict[str, Any] | None:
        return json.loads(path.read_text()) if path else None

    report = read(chosen.benchmark) or {}
    text = measured(report, read(chosen.before), read(chosen.reality), chosen.folder)
    write(chosen.folder, text)


if __name__ == "__main__":
    main()
