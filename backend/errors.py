"""The five ways a request can be wrong, and the one JSON shape they all take.

`{"error": code, "message": sentence, "cure": what to do, "possible": [actions]}`
"""

from __future__ import annotations

import math
from typing import Any

# Why something was done, in a person's own words: at most so many characters.
LONGEST_REASON = 1000


class ConcordError(Exception):
    """Something was asked that cannot be done; says what, and what to do instead."""

    status = 400

    def __init__(
        self,
        code: str,
        message: str,
        cure: str = "",
        *,
        possible: list[str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(f"{message} {cure}".strip())
        self.code, self.message, self.cure = code, message, cure
        self.possible = possible or []
        self.extra = extra

    @property
    def headers(self) -> dict[str, str]:
        """What stands in the head of the answer."""
        return {}

    def body(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        return {
            "error": self.code,
            "message": self.message,
            "cure": self.cure,
            "possible": self.possible,
            **self.extra,
        }


class BadInput(ConcordError):
    """What was sent cannot be used."""

    status = 400


class NotAllowed(ConcordError):
    """This person may not do that."""

    status = 403


class Missing(ConcordError):
    """There is no such thing, as far as this person may know."""

    status = 404

    def __init__(self, what: str = "page") -> None:
        super().__init__(
            "NOT_FOUND", f"There is no such {what}.", "Check the address, or go back to your list."
        )


class WrongState(ConcordError):
    """That cannot be done in the state the thing is in."""

    status = 409


class TooMany(ConcordError):
    """That was asked too often; it may be asked again after so many seconds."""

    status = 429

    def __init__(self, code: str, message: str, *, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(code, message, f"Try again in {self.seconds} s.")

    @property
    def headers(self) -> dict[str, str]:
        """When it may be asked again, as RFC 9110 has it."""
        return {"Retry-After": str(self.seconds)}


def is_text(given: str) -> bool:
    """Whether Postgres can keep it: no NUL, and no half of a character."""
    return "\0" not in given and not any("\ud800" <= c <= "\udfff" for c in given)


def bad_text() -> BadInput:
    """What is said of text with a NUL in it."""
    return BadInput(
        "BAD_TEXT",
        "What was sent holds a character that is none (NUL).",
        "Remove it, and send the rest again.",
    )


def reason_of(given: str, message: str, ask: str = "Say why, in at most {most} characters.") -> str:
    """Why something is done, without the space around it.

    Raises:
        BadInput: `REASON_NEEDED` with `message` where there is none or it is too long; the cure is
            `ask`, in which `{most}` stands for the most characters. `BAD_TEXT` for what no
            database can keep.
    """
    if not is_text(given):
        raise bad_text()
    reason = given.strip()
    if not reason or len(reason) > LONGEST_REASON:
        raise BadInput("REASON_NEEDED", message, ask.format(most=LONGEST_REASON))
    return reason
