"""What upper rooms add to the verification of the log."""

from __future__ import annotations

from collections.abc import Callable

# Each is asked for one chain, or for all (None), and returns (chain, sentence) for every signed
# record that is not what was signed.
signed_records: list[Callable[[str | None], list[tuple[str, str]]]] = []
