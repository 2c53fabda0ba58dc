"""How many examples hypothesis tries: few in `make test`, all of them in `make test-long`."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

_USUAL = settings.get_profile("default").max_examples


def examples(few: int, **more: Any) -> settings:
    """Settings of one test: so `few` examples, or as many as the profile asked for has."""
    asked = settings.default.max_examples if settings.default else _USUAL
    return settings(max_examples=few if asked == _USUAL else asked, **more)
