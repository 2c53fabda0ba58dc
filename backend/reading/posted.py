"""What the forms of the reading room send."""

from __future__ import annotations

from uuid import UUID

from backend.errors import BadInput


def uuid_of(text: str) -> UUID:
    """A field that the form itself filled in; raises `BadInput` where it is no UUID."""
    try:
        return UUID(text)
    except ValueError:
        raise BadInput("BAD_FORM", "This form is not complete.", "Reload the page.") from None
