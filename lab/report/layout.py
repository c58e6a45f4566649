"""Where everything of a drill's timeline stands: one row a track, bars above, numbered badges below. Pure; pixels."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby, zip_longest

from lab.report.record import DrillRecord, Event, Severity, Span, Track

WIDTH = 1000.0
LEFT = 104.0
"""Where the plot begins; before it stand the tracks' names."""
RIGHT = WIDTH - 20.0
AXIS_HEIGHT = 30.0
BAR_HEIGHT = 20.0
BAR_PITCH = 24.0
BADGE_PITCH = 22.0
BADGE_DISTANCE = 21.0
TRACK_PADDING = 6.0
NARROWEST_BAR = 5.0
"""A freeze of milliseconds must still be seen."""
MOST_BADGE_ROWS = 3
TICK_DISTANCE = 80.0
LETTER_WIDTH = 6.4
"""Of the bars' text, on average and rather too wide."""


@dataclass(frozen=True, slots=True)
class Item:
    """An event or a span under the number that the timeline and the list beneath it share."""

    number: int
    what: Event | Span

    @property
    def is_span(self) -> bool:
        """Whether it lasted."""
        return isinstance(self.what, Span)

    @property
    def began(self) -> float:
        """When it happened or began, in seconds."""
        return self.what.at if isinstance(self.what, Event) else self.what.began

    @property
    def ended(self) -> float:
        """When it happened or ended, in seconds."""
        return self.what.at if isinstance(self.what, Event) else self.what.ended


@dataclass(frozen=True, slots=True)
class Bar:
    """A span's bar; `written` is what fits into it."""

    item: Item
    x: float
    y: float
    width: float
    written: str


class Side(Enum):
    """Where a text stands beside its mark."""

    RIGHT = 1
    LEFT = -1


@dataclass(frozen=True, slots=True)
class Badge:
    """A numbered mark centred at (x, y), with a line from the moment itself at (at_x, at_y).

    Its text stands on its right or left (`side`) where there is room, else in the list alone.
    """

    item: Item
    x: float
    y: float
    at_x: float
    at_y: float
    side: Side | None = None


@dataclass(frozen=True, slots=True)
class TrackRow:
    """One track's share of the drawing."""

    track: Track
    top: float
    height: float
    bars: tuple[Bar, ...]
    badges: tuple[Badge, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """One mark of the time axis."""

    x: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The whole drawing."""

    height: float
    rows: tuple[TrackRow, ...]
    ticks: tuple[Tick, ...]
    disasters: tuple[float, ...]
    """Where the drill did something bad to the instance: lines through all tracks."""

    @property
    def plot_bottom(self) -> float:
        """Where the tracks end and the axis begins."""
        return self.height - AXIS_HEIGHT


@dataclass(frozen=True, slots=True)
class Scale:
    """From seconds to pixels."""

    first: float
    last: float

    def x(self, seconds: float) -> float:
        """Return where a moment stands."""
        return LEFT + (seconds - self.first) / (self.last - self.first) * (RIGHT - LEFT)


def numbered(record: DrillRecord) -> list[Item]:
    """Return the events and spans of a record in the order of their beginning, counted from 1."""
    everything: list[Event | Span] = [*record.spans, *record.events]
    everything.sort(key=lambda what: what.at if isinstance(what, Event) else what.began)
    return [Item(number, what) for number, what in enumerate(everything, start=1)]


def lay_out(record: DrillRecord, items: Sequence[Item]) -> Layout:
    """Place a record's items; tracks come in the order of `Track`, and unused ones not at all."""
    scale = _scale(record.seconds, items)
    rows: list[TrackRow] = []
    top = 0.0
    for track in Track:
        mine = [item for item in items if item.what.track is track]
        if mine:
            row = _row(track, top, mine, scale)
            rows.append(row)
            top += row.height
    disasters = (
        scale.x(item.began) for item in items if item.what.track is Track.DRILL and item.what.severity is Severity.BAD
    )
    return Layout(top + AXIS_HEIGHT, tuple(rows), tuple(_ticks(scale)), tuple(disasters))


def _scale(seconds: float, items: Iterable[Item]) -> Scale:
    items = list(items)
    first = min([0.0, *(item.began for item in items)])
    last = max([seconds, *(item.ended for item in items)])
    return Scale(first, max(last, first + 0.001))


def _row(track: Track, top: float, items: Sequence[Item], scale: Scale) -> TrackRow:
    bars = _bars([item for item in items if isinstance(item.what, Span)], top + TRACK_PADDING, scale)
    below = max((bar.y + BAR_PITCH for bar in bars), default=top + TRACK_PADDING)
    wanted = [(scale.x(item.began), top, item) for item in items if isinstance(item.what, Event)]
    wanted += [(bar.x + bar.width / 2, bar.y + BAR_HEIGHT, bar.item) for bar in bars if not bar.written]
    badges = _badges(sorted(wanted, key=lambda each: each[0]), below)
    bottom = max((badge.y + BADGE_PITCH / 2 for badge in badges), default=below)
    return TrackRow(track, top, bottom + TRACK_PADDING - top, tuple(bars), tuple(badges))


def _bars(items: Iterable[Item], top: float, scale: Scale) -> list[Bar]:
    bars: list[Bar] = []
    ends: list[float] = []
    for item in items:
        x = min(scale.x(item.began), RIGHT - NARROWEST_BAR)
        width = max(NARROWEST_BAR, scale.x(item.ended) - x)
        level = next((level for level, end in enumerate(ends) if end <= x), len(ends))
        ends[level : level + 1] = [x + width + 1]
        bars.append(Bar(item, x, top + level * BAR_PITCH, width, _written(item, width)))
    return bars


def _written(item: Item, width: float) -> str:
    letters = int((width - 12) / LETTER_WIDTH)
    for text in (f"{item.number}  {item.what.text}", str(item.number)):
        if len(text) <= letters:
            return text
    return ""


def _badges(wanted: Sequence[tuple[float, float, Item]], below: float) -> list[Badge]:
    """Stagger what is close together over a few rows, and then move it aside."""
    lasts: list[float] = []
    texts: list[float] = []
    placed: list[tuple[int, float, float, float, Item]] = []
    for at_x, at_y, item in wanted:
        needed = _room(item)
        level = _level(at_x, needed, lasts, texts)
        x = max(at_x, lasts[level] + BADGE_DISTANCE) if level < len(lasts) else at_x
        lasts[level : level + 1] = [x]
        texts[level : level + 1] = [x + (needed if x + needed <= WIDTH else BADGE_DISTANCE / 2)]
        placed.append((level, x, at_x, at_y, item))
    badges: list[Badge] = []
    for level, row in groupby(sorted(placed, key=lambda each: each[:2]), key=lambda each: each[0]):
        limit = RIGHT
        in_row: list[Badge] = []
        for _, x, at_x, at_y, item in reversed(list(row)):
            in_row.insert(0, Badge(item, min(x, limit), below + BADGE_PITCH * (level + 0.5), at_x, at_y))
            limit = min(x, limit) - BADGE_DISTANCE
        badges += _with_texts(in_row)
    return sorted(badges, key=lambda badge: badge.item.number)


def _level(at_x: float, needed: float, lasts: Sequence[float], texts: Sequence[float]) -> int:
    """Choose a row; near the right edge, where gateways become ready, a text needs its room on the left."""
    free = [level for level, last in enumerate(lasts) if last + BADGE_DISTANCE <= at_x]
    roomy = (level for level in free if at_x + needed <= WIDTH or texts[level] <= at_x - needed)
    fallback = free[0] if free else lasts.index(min(lasts)) if lasts else 0
    return next(roomy, len(lasts) if len(lasts) < MOST_BADGE_ROWS else fallback)


def _room(item: Item) -> float:
    """How much a badge and its text need beside the badge's centre."""
    return len(item.what.text) * LETTER_WIDTH + BADGE_DISTANCE


def _with_texts(row: Sequence[Badge]) -> Iterable[Badge]:
    """Let each badge of a row, from left to right, have its text beside it if that touches no other."""
    free_from = LEFT
    for badge, follower in zip_longest(row, row[1:]):
        needed = _room(badge.item)
        until = follower.x - BADGE_DISTANCE / 2 if follower else WIDTH
        right = badge.x + BADGE_DISTANCE / 2
        if badge.x + needed <= until:
            yield replace(badge, side=Side.RIGHT)
            right = badge.x + needed
        elif badge.x - needed >= free_from:
            yield replace(badge, side=Side.LEFT)
        else:
            yield badge
        free_from = right


def _ticks(scale: Scale) -> Iterable[Tick]:
    step = _round_step((scale.last - scale.first) * TICK_DISTANCE / (RIGHT - LEFT))
    for count in range(math.ceil(scale.first / step), math.floor(scale.last / step + 1e-9) + 1):
        yield Tick(scale.x(count * step), round(count * step, 6))


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= least)
