"""What may lie as model.json in a folder of models and is none, each with what is said of it."""

from __future__ import annotations

import json
from typing import Any

SOUND: dict[str, Any] = {
    "name": "odd",
    "version": "1",
    "kind": "foveal",
    "weights": "w.bin",
    "files": {"w.bin": "0" * 64},
}


def _with(**changed: Any) -> str:
    return json.dumps({**SOUND, **changed})


def _raw(key: str, value: str) -> str:
    return json.dumps(SOUND)[:-1] + f', "{key}": {value}}}'


ODD_MODELS: dict[str, tuple[str, str]] = {
    "no json": ("{", "cannot be read"),
    "a list": ("[]", "it is not an object"),
    "nested without end": ("[" * 100_000 + "]" * 100_000, "nested more than 32 levels"),
    "nested deep": (_raw("input", '{"a":' * 500 + "1" + "}" * 500), "nested more than 32 levels"),
    "NaN": (_raw("x", "NaN"), "NaN is no finite number"),
    "Infinity": (_raw("x", "[-Infinity]"), "-Infinity is no finite number"),
    "too large": (_raw("x", "1e999"), "1e999 is no finite number"),
    "too large and whole": (_raw("x", "1" * 400), "is no finite number"),
    "more digits than are read": (_raw("x", "1" * 5000), "is no finite number"),
    "NUL": (_with(notice="a\0b"), "holds a NUL or half of a character"),
    "half of a character": (_with(name="a\ud800"), "holds a NUL or half of a character"),
    "NUL in a key": (_with(**{"a\0": 1}), "holds a NUL or half of a character"),
    "no name": (_with(name=" "), "name is not a text of 1 to 120 characters"),
    "a list as name": (_with(name=["a"]), "name is not a text of 1 to 120 characters"),
    "long name": (_with(name="n" * 121), "name is not a text of 1 to 120 characters"),
    "no version": (_with(version=""), "version is not a text of 1 to 40 characters"),
    "long version": (_with(version="1" * 41), "version is not a text of 1 to 40 characters"),
    "an object as kind": (_with(kind={}), "kind is not a text of 1 to 40 characters"),
    "long kind": (_with(kind="k" * 41), "kind is not a text of 1 to 40 characters"),
    "no files": (_with(files=None), "files is not an object"),
    "files as pairs": (_with(files=[["w.bin", "0" * 64]]), "files is not an object"),
    "a number as hash": (_with(files={"w.bin": 1}), "no SHA-256 in lower-case hex"),
    "a short hash": (_with(files={"w.bin": "00"}), "no SHA-256 in lower-case hex"),
    "long file name": (_with(files={"w" * 300: "0" * 64}), "1 to 255 bytes long"),
    "weights as a list": (_with(weights=["w.bin"]), "weights is not the name of one of files"),
    "weights not listed": (_with(weights="v.bin"), "weights is not the name of one of files"),
}
