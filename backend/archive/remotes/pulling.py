"""Fetching studies and series from a remote, series by series, each image once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeAlias

from django.utils import timezone

from backend.archive.findings import NotTaken
from backend.archive.models import Door
from backend.archive.receipts import close_receipt, open_receipt
from backend.archive.remotes.carrying import Work
from backend.archive.remotes.here import here_of
from backend.archive.remotes.lifecycle import BROKEN_OFF
from backend.archive.remotes.line import Line
from backend.archive.remotes.models import Direction, Transfer, TransferSeries
from backend.archive.remotes.patience import bear, patiently
from backend.archive.remotes.problems import RemoteProblem
from backend.archive.remotes.retrieving import images_of_instance, images_of_series, uids_of
from backend.archive.remotes.sealing import seal
from backend.archive.remotes.searching import FoundSeries, images_of, series_of
from backend.archive.sources import Offer
from backend.archive.taking import take
from backend.errors import BadInput

# Files as they come, each with the SOP Instance UID it was asked for by, if it was.
Files: TypeAlias = Generator[tuple[str, bytes], None, None]
# A series is asked for in one answer so often; then its images one by one.
WHOLE_ANSWERS = 2
# The remote may fail on one image so often before the others are gone on with.
FAILURES_OF_ONE = 3
# So many images that were not asked for, and the answer is not listened to.
STRANGERS_BORNE = 20
# Problems of one image or series, not of the remote.
_OF_ONE = ("REMOTE_HAS_NOT", "REMOTE_REFUSES")


def pull(work: Work) -> None:
    """Fetch what the transfer asks for; raises where it cannot end whole."""
    with Line(work.transfer.remote, go_on=work.go_on) as line:
        study = work.transfer.asked["study"]
        told = patiently(line, lambda: _plan(work, line, study))
        lacking = 0
        for row in list(work.transfer.series.filter(whole=False).select_related("receipt")):
            lacking += _SeriesPull(work, line, study, row, told).fetch()
    if lacking:
        many = lacking > 1
        raise RemoteProblem(
            "REMOTE_LACKS",
            f"The remote has {lacking} image{'s' if many else ''} that it does not give.",
            "Try again, or accept what came.",
        )
    _settle(work)


def _settle(work: Work) -> None:
    """End the batches of the whole study, so that its series are judged together.

    Also those of pulls that broke off before and brought some of these series.
    """
    pulled = {row.asked["uid"]: row for row in work.transfer.series.select_related("receipt")}
    ended = Transfer.objects.filter(
        remote=work.transfer.remote,
        direction=Direction.PULL,
        state__in=[state.value for state in BROKEN_OFF],
    )
    rows = TransferSeries.objects.filter(transfer__in=ended, receipt__closed_at=None)
    before = [row for row in rows.select_related("receipt") if row.asked["uid"] in pulled]
    for row in [*before, *pulled.values()]:
        if row.receipt is not None:
            close_receipt(receipt=row.receipt, actor=work.transfer.actor)


def _plan(work: Work, line: Line, study: str) -> dict[str, int]:
    """A row for each series that was asked for; raises where the remote no longer has it.

    Returns how many images each has, where the remote says so.
    """
    chosen = work.transfer.asked.get("series")
    listed = series_of(line, study)
    found = {series.uid: series for series in listed if chosen is None or series.uid in chosen}
    gone = [uid for uid in chosen or () if uid not in found]
    if gone or not found:
        raise RemoteProblem(
            "REMOTE_HAS_NOT",
            "The remote no longer lists "
            + ("this study." if not found else f"{len(gone)} of the chosen series."),
            "Search again, and choose from what is found now.",
        )
    known = {row.asked["uid"] for row in work.transfer.series.all()}
    new = [series for uid, series in found.items() if uid not in known]
    TransferSeries.objects.bulk_create(
        TransferSeries(
            transfer=work.transfer,
            position=len(known) + number,
            sealed=seal(_told(series)),
            expected=series.images,
        )
        for number, series in enumerate(new, start=1)
    )
    return {uid: series.images for uid, series in found.items() if series.images is not None}


def _told(series: FoundSeries) -> dict[str, object]:
    return {
        "uid": series.uid,
        "number": series.number,
        "modality": series.modality,
        "description": series.description,
    }


@dataclass
class _SeriesPull:
    """One series being fetched.

    Attributes:
        told: how many images each series of the study has, where the remote says so.
        settled: SOP Instance UIDs that need not be fetched any more, whatever became of them.
        denied: those that the remote lists and does not give.
        failures: how often the remote failed on one image.
        strangers: images that came and were not asked for.
    """

    work: Work
    line: Line
    study: str
    row: TransferSeries
    told: dict[str, int]
    uid: str = ""
    listed: list[str] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    whole_answers: int = 0
    strangers: int = 0
    began: datetime = field(default_factory=timezone.now)

    def fetch(self) -> int:
        """Fetch what is not here; how many images the remote lists and does not give."""
        self.uid = self.row.asked["uid"]
        told = self.told.get(self.uid, 0)
        self.listed = patiently(self.line, lambda: images_of(self.line, self.study, self.uid, told))
        if not self.listed:
            raise RemoteProblem(
                "REMOTE_LISTS_NOTHING",
                "The remote lists no image of a series it has.",
                "Ask who runs it to allow searching for instances (QIDO-RS).",
            )
        here = here_of(self.work.transfer.remote, self.listed, self.row.receipt)
        self.settled |= here
        self.row.expected = len(self.listed)
        self.row.moved = min(self.row.moved, len(here))
        self.row.there = len(here) - self.row.moved
        self.work.progress(self.row, now=True)
        failures = 0
        while self._wanted():
            before = len(self.settled)
            try:
                self._fetch_wanted()
            except RemoteProblem as problem:
                failures = 1 if len(self.settled) > before else failures + 1
                self.work.progress(self.row, now=True)
                bear(self.line, problem, failures)
        unlisted = max(told - len(self.listed), 0)
        if unlisted:
            message = f"It says that the series has {told} images, and lists {len(self.listed)}."
            self.work.refuse("images it does not list", message)
        self._end(whole=not unlisted)
        return len(self.denied) + unlisted

    def _wanted(self) -> list[str]:
        """What is still to be fetched; what the remote failed on comes last."""
        wanted = [s for s in self.listed if s not in self.settled and s not in self.denied]
        return sorted(wanted, key=lambda sop: self.failures[sop])

    def _fetch_wanted(self) -> None:
        """Everything in one answer where nothing is here yet, else image by image."""
        if len(self._wanted()) == len(self.listed) > 1 and self.whole_answers < WHOLE_ANSWERS:
            self.whole_answers += 1
            try:
                self._take(self._whole())
            except RemoteProblem as problem:
                if problem.code not in _OF_ONE:
                    raise
        self._take(self._one_by_one(self._wanted()))

    def _whole(self) -> Files:
        for data in images_of_series(self.line, self.study, self.uid):
            yield "", data

    def _one_by_one(self, wanted: list[str]) -> Files:
        for sop in wanted:
            try:
                for data in images_of_instance(self.line, self.study, self.uid, sop):
                    yield sop, data
            except RemoteProblem as problem:
                self.failures[sop] += problem.code == "REMOTE_FAILS"
                if problem.code not in _OF_ONE and self.failures[sop] < FAILURES_OF_ONE:
                    raise
                self._deny(sop, problem.message)
            if sop not in self.settled:
                self._deny(sop, "The remote answered without it.")

    def _deny(self, sop: str, message: str) -> None:
        if sop not in self.denied and sop not in self.settled:
            self.denied.add(sop)
            self.work.refuse(f"image {self.listed.index(sop) + 1} of the list", message)

    def _take(self, files: Files) -> None:
        transfer = self.work.transfer
        if self.row.receipt is None:
            self.row.receipt = open_receipt(
                source=transfer.remote.name, door=Door.PULL, actor=transfer.actor
            )
            self.row.save(update_fields=["receipt"])
        try:
            for taken in take(receipt=self.row.receipt, offers=self._offers(files)):
                if taken.kept is not None and taken.kept.code == "NOT_STORED":
                    raise BadInput("NOT_STORED", taken.kept.message, taken.kept.cure)
        finally:
            files.close()
            self.work.keep(self.row)

    def _offers(self, files: Files) -> Iterator[Offer]:
        """What arrives, as files for receiving; progress is told as it goes."""
        for asked, data in files:
            self.work.go_on()
            name = f"{self.work.transfer.remote.name}, image {len(self.settled) + 1}"
            study, series, sop = uids_of(data) or (self.study, self.uid, asked)
            if (study, series) != (self.study, self.uid):
                self._stranger(STRANGERS_BORNE)
                yield Offer(name, _of_another_series)
            elif sop in self.listed and sop not in self.settled:
                self.settled.add(sop)
                self.row.moved += 1
                yield Offer(name, partial(bytes, data))
                self.work.progress(self.row)
            else:  # Not listed, twice, or unreadable: that one is asked for by its own name.
                self._stranger(len(self.listed) + STRANGERS_BORNE)

    def _stranger(self, borne: int) -> None:
        self.strangers += 1
        if self.strangers > borne:
            raise RemoteProblem(
                "REMOTE_OTHER_IMAGES",
                "The remote sends other images than were asked for.",
                "Ask who runs it; what was not asked for was not kept.",
            )

    def _end(self, *, whole: bool) -> None:
        """Say what was kept aside, and whether the series is whole as far as it is listed."""
        if self.row.receipt is not None:
            kept = self.row.receipt.kept
            if lost := kept.filter(code="NOT_STORED", at__gte=self.began).first():
                raise BadInput("NOT_STORED", lost.message, lost.cure)
            for one in kept.exclude(code="NOT_STORED"):
                self.work.refuse(one.name, f"{one.message} {one.cure}")
        self.row.whole = whole and not self.denied
        self.work.progress(self.row, now=True)


def _of_another_series() -> bytes:
    raise NotTaken(
        "OTHER_SERIES",
        "{name} is of another study or series than was asked for; it was not kept.",
        "Ask who runs the remote.",
    )
