"""Where a model stands, from what is known of it. Pure."""

from __future__ import annotations

from enum import StrEnum


class ModelState(StrEnum):
    """Registered → verified → runnable → retired; damaged where a file is not the registered one.

    Which protocols it is the default of is theirs to say.
    """

    REGISTERED = "registered"
    DAMAGED = "damaged"
    VERIFIED = "verified"
    RUNNABLE = "runnable"
    RETIRED = "retired"


# What each state means, for the page.
MEANING = {
    ModelState.REGISTERED: "its files' hashes were not checked yet, so it takes no run",
    ModelState.DAMAGED: "a file is not the registered one, so it takes no run",
    ModelState.VERIFIED: "every file's hash matches; its runs wait: no connected worker holds it",
    ModelState.RUNNABLE: "every file's hash matches, and a connected worker holds it",
    ModelState.RETIRED: "offered no more; its runs of the past remain",
}


def model_state(*, retired: bool, verified: bool, damaged: bool, has_worker: bool) -> ModelState:
    """The state a model's page names.

    Args:
        verified: every file's hash matched when they were last checked.
        damaged: a file did not match then, or was missing.
        has_worker: a live worker holds it, and runs models of its kind.
    """
    if retired:
        return ModelState.RETIRED
    if damaged:
        return ModelState.DAMAGED
    if not verified:
        return ModelState.REGISTERED
    return ModelState.RUNNABLE if has_worker else ModelState.VERIFIED
