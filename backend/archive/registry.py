"""What upper rooms ask to be told. Filled in their `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from backend.accounts.models import User
    from backend.archive.models import Series, Study
    from backend.imaging.dicom import Refusal
    from backend.imaging.grid import Grid

# Called in the transaction in which the last series of a study was judged, whatever it was; again
# where images came later. A hook that raises undoes that judgement, which is then tried again.
on_study_ready: list[Callable[[Study], object]] = []

# Whether a volume of this grid may be read by whoever reads such series: a refusal, or None. A
# series is a volume unless a rule refuses it.
volume_rules: list[Callable[[Series, Grid], Refusal | None]] = []

# Whether a stack that was imaged with a tilted gantry is to be resampled. With no rule that says
# so it is quarantined.
resample_rules: list[Callable[[Series], bool]] = []

# Where a person goes from a series that came: (words, address) of each place they may open.
where_next: list[Callable[[User, Series], list[tuple[str, str]]]] = []


@dataclass(frozen=True)
class Pushable:
    """A DICOM file of an upper room that may be sent to a remote.

    Attributes:
        blob: its name in the content store.
        chain: the audit chain that tells of it.
        facts: what the log says it is.
    """

    blob: str
    chain: str
    facts: Mapping[str, str] = field(default_factory=dict)


# The export of this id, if this person (None: the system) may push it; raises `Missing`, or says
# why not.
exports_to_push: list[Callable[[User | None, UUID], Pushable]] = []
