"""When a case was worked on, as one picture: a lane per phase, bars where events are dense. Pure.

Hours in which nothing happened would leave the picture empty, so idle time is cut out: every
stretch of work keeps its true length, and what lies between is a gap that says how long it was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from itertools import pairwise

LEFT, RIGHT, TOP = 164.0, 8.0, 6.0
WIDTH = 1240.0
LANE, BAR, FOOT = 20.0, 15.0, 22.0
BIN = 4.0
GAP = 14.0
NARROWEST = 12.0
LABEL = 86.0
IDLE = timedelta(minutes=2)
MOST_STRETCHES = 24
# Minutes between the times under a long stretch.
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)


@dataclass(frozen=True)
class Moment:
    """One event on the strip: when, in which lane, where in the chain.

    `bad` where it failed, `dim` where it is there only to show what is not listed.
    """

    at: datetime
    lane: str
    position: int
    bad: bool = False
    dim: bool = False


@dataclass(frozen=True)
class Lane:
    """One phase: its key, its name, and where its name leads."""

    key: str
    name: str
    url: str
    mark: bool = False


@dataclass(frozen=True)
class Stretch:
    """Time without a long pause, and where it lies on the picture."""

    start: datetime
    end: datetime
    x: float
    width: float

    def place(self, at: datetime) -> float:
        """The x of a moment."""
        length = (self.end - self.start).total_seconds()
        share = (at - self.start).total_seconds() / length if length else 0.5
        return self.x + share * self.width


def strip(
    moments: Sequence[Moment],
    lanes: Sequence[Lane],
    *,
    zone: tzinfo,
    jump: Callable[[int], str],
    shown: tuple[int, int] | None = None,
) -> str:
    """The picture as SVG markup; "" where nothing happened.

    Args:
        moments: the events in order of time.
        lanes: the phases from top to bottom; those without an event stay, empty.
        zone: the zone of the times written under it.
        jump: where a click on a bar leads, by the position of its first event.
        shown: first and last position of what the page lists below, to be set off.
    """
    if not moments:
        return ""
    stretches = stretches_of([moment.at for moment in moments])
    height = TOP + LANE * len(lanes) + FOOT
    rows = {lane.key: TOP + LANE * index for index, lane in enumerate(lanes)}
    listed = [moment for moment in moments if not moment.dim]
    counts = {
        lane.key: _count(moment for moment in listed if moment.lane == lane.key) for lane in lanes
    }
    begun = {moment.lane for moment in moments}
    parts = [*_shown(moments, stretches, shown, height), *_lanes(lanes, rows, counts, begun)]
    parts += _gaps(stretches, rows)
    marked = {lane.key for lane in lanes if lane.mark}
    names = {lane.key: lane.name for lane in lanes}
    parts += _bars(moments, stretches, rows, marked, names, zone, jump)
    parts += _axis(stretches, height, zone)
    told = ((lane.name, counts[lane.key]) for lane in lanes)
    words = ", ".join(f"{name} {count}" for name, count in told if count)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="strip" viewBox="0 0 {_n(WIDTH)} '
        f'{_n(height)}" role="group" aria-label="Events over time: {escape(words)}">'
        f"{''.join(parts)}</svg>"
    )


def _count(moments: Iterable[Moment]) -> str:
    """How many events came about, and apart from them how many failed: "5 and 1 failed"."""
    kinds = Counter(moment.bad for moment in moments)
    failed = f"{kinds[True]} failed" if kinds[True] else ""
    return " and ".join(filter(None, (str(kinds[False]) if kinds[False] else "", failed)))


def stretches_of(times: Sequence[datetime]) -> list[Stretch]:
    """The stretches of work, cut at pauses long enough that they are few, laid out side by side."""
    pause = IDLE
    runs = _cut(times, pause)
    while len(runs) > MOST_STRETCHES:
        pause *= 2
        runs = _cut(times, pause)
    room = WIDTH - LEFT - RIGHT - GAP * (len(runs) - 1)
    spare = room - NARROWEST * len(runs)
    lengths = [(end - start).total_seconds() for start, end in runs]
    total = sum(lengths)
    stretches, x = [], LEFT
    for (start, end), length in zip(runs, lengths, strict=True):
        width = NARROWEST + spare * (length / total if total else 1 / len(runs))
        stretches.append(Stretch(start, end, x, width))
        x += width + GAP
    return stretches


def _cut(times: Sequence[datetime], pause: timedelta) -> list[tuple[datetime, datetime]]:
    runs: list[tuple[datetime, datetime]] = []
    for at in times:
        if runs and at - runs[-1][1] <= pause:
            runs[-1] = (runs[-1][0], max(at, runs[-1][1]))
        else:
            runs.append((at, at))
    return runs


def _stretch_of(stretches: Sequence[Stretch], at: datetime) -> Stretch:
    return next((s for s in stretches if at <= s.end), stretches[-1])


def _n(value: float) -> str:
    """A coordinate with at most one decimal, never "-0"."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _lanes(
    lanes: Sequence[Lane], rows: dict[str, float], counts: dict[str, str], begun: set[str]
) -> Iterable[str]:
    for lane in lanes:
        y = rows[lane.key]
        base = y + LANE - 2
        yield (
            f'<line class="base" x1="{_n(LEFT)}" y1="{_n(base)}" x2="{_n(WIDTH - RIGHT)}" '
            f'y2="{_n(base)}"/>'
        )
        count = counts[lane.key]
        words = f'<text class="lane{" lit" if count else ""}" x="0" y="{_n(base - 3)}">'
        words += f"{escape(lane.name)}</text>"
        yield f'<a href="{escape(lane.url)}">{words}</a>' if lane.key in begun else words
        if count:
            yield (
                f'<text class="count" x="{_n(LEFT - 10)}" y="{_n(base - 3)}" text-anchor="end">'
                f"{count}</text>"
            )


def _gaps(stretches: Sequence[Stretch], rows: dict[str, float]) -> Iterable[str]:
    top = min(rows.values()) + 2
    bottom = max(rows.values()) + LANE - 2
    for before, after in pairwise(stretches):
        x = before.x + before.width + GAP / 2
        idle = spoken(after.start - before.end)
        yield (
            f'<g class="gap"><rect x="{_n(x - GAP / 2)}" y="{_n(top)}" width="{_n(GAP)}" '
            f'height="{_n(bottom - top)}"/><line x1="{_n(x)}" y1="{_n(top)}" x2="{_n(x)}" '
            f'y2="{_n(bottom)}"/><title>{idle} without an event</title></g>'
        )


def _bars(
    moments: Sequence[Moment],
    stretches: Sequence[Stretch],
    rows: dict[str, float],
    marked: set[str],
    names: dict[str, str],
    zone: tzinfo,
    jump: Callable[[int], str],
) -> Iterable[str]:
    bins: dict[tuple[str, int], list[Moment]] = {}
    for moment in moments:
        x = _stretch_of(stretches, moment.at).place(moment.at)
        bins.setdefault((moment.lane, int(x // BIN)), []).append(moment)
    highest = max(len(found) for found in bins.values())
    for (lane, index), found in bins.items():
        base = rows[lane] + LANE - 2
        lit = [moment for moment in found if not moment.dim]
        bad = any(moment.bad for moment in lit)
        first, last = (lit or found)[0], (lit or found)[-1]
        hours = _clock(first.at, zone)
        if _clock(last.at, zone) != hours:
            hours += f"–{_clock(last.at, zone)}"
        many = len(lit or found)
        events = f"{many} event{'s' if many > 1 else ''}" + ("" if lit else ", not listed")
        title = f"{names[lane]}, {first.at.astimezone(zone):%Y-%m-%d} {hours}: {events}"
        if lane in marked:
            x, y = (index + 0.5) * BIN, base - 7
            shape = f'<path d="M{_n(x)} {_n(y - 5)}l5 5l-5 5l-5 -5z"/>'
        else:
            tall = max(3.0, BAR * math.log1p(many) / math.log1p(max(highest, 4)))
            shape = (
                f'<rect x="{_n(index * BIN + 0.4)}" y="{_n(base - tall)}" '
                f'width="{_n(BIN - 0.8)}" height="{_n(tall)}"/>'
            )
        kind = "bar bad" if bad else "bar" if lit else "bar dim"
        yield (
            f'<a class="{kind}" href="{escape(jump(first.position))}" tabindex="-1">{shape}'
            f"<title>{escape(title)}</title></a>"
        )


def _shown(
    moments: Sequence[Moment],
    stretches: Sequence[Stretch],
    shown: tuple[int, int] | None,
    height: float,
) -> Iterable[str]:
    lit = [m for m in moments if not m.dim]
    listed = [m for m in lit if shown and shown[0] <= m.position <= shown[1]]
    if not listed or len(listed) == len(lit):
        return
    places = [_stretch_of(stretches, m.at).place(m.at) for m in listed]
    x, far = min(places) - BIN, max(places) + BIN
    yield (
        f'<rect class="shown" x="{_n(x)}" y="1" width="{_n(far - x)}" '
        f'height="{_n(height - FOOT + 3)}" rx="3"><title>What is listed below</title></rect>'
    )


def _axis(stretches: Sequence[Stretch], height: float, zone: tzinfo) -> Iterable[str]:
    free, day = 0.0, ""
    for stretch in stretches:
        for at in (stretch.start, *_round_times(stretch, zone)):
            local = at.astimezone(zone)
            today = f"{local:%Y-%m-%d}"
            words = f"{local:%H:%M}" if today == day else f"{local:%d %b %H:%M}"
            x = min(stretch.place(at), WIDTH - LABEL)
            if x < free:
                continue
            yield f'<text class="tick" x="{_n(x)}" y="{_n(height - 5)}">{words}</text>'
            free, day = x + (LABEL if today != day else LABEL / 2), today


def _round_times(stretch: Stretch, zone: tzinfo) -> Iterable[datetime]:
    """Round times within a stretch, as far apart as two of their labels are wide."""
    length = (stretch.end - stretch.start).total_seconds() / 60
    step = next((s for s in TICKS if length and s / length * stretch.width >= 2 * LABEL), None)
    if step is None:
        return
    start = stretch.start.astimezone(zone)
    at = start.replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    at += timedelta(minutes=step * math.ceil((stretch.start - at).total_seconds() / 60 / step))
    while at <= stretch.end:
        if stretch.place(at) <= WIDTH - LABEL:
            yield at
        at += timedelta(minutes=step)


def _clock(at: datetime, zone: tzinfo) -> str:
    return f"{at.astimezone(zone):%H:%M}"


def spoken(length: timedelta) -> str:
    """How long something took, in its two largest units: "2 d 3 h", "14 min", "8 s"."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    units = [(days, "d"), (hours, "h"), (rest // 60, "min")]
    found = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(found[:2])
