"""How snapshots, changes and versions are shown: tables in a terminal, and the month as a calendar. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import groupby

from openclaw_agent.catalog.completeness import Completeness
from openclaw_agent.history.changes import Change, totals
from openclaw_agent.history.moments import in_words
from openclaw_agent.history.survey import SnapshotRow
from openclaw_agent.history.tables import Table, counted, safe, size_words
from openclaw_agent.history.versions import Version
from openclaw_agent.retention.report import age_words

NEWEST = 20
"""Snapshots that have a line of their own; of older ones a day has one."""
WEEKS = 5
BARS = " ▁▂▃▄▅▆▇█"

_STATES = {
    Completeness.COMPLETE: "",
    Completeness.NO_MANIFEST: "not complete",
    Completeness.QUARANTINED: "quarantined",
    Completeness.INVALID: "unreadable",
    Completeness.TOO_NEW: "by a newer agent",
}


def snapshot_table(rows: Sequence[SnapshotRow], now: datetime, zone: tzinfo | None = None, most: int = NEWEST) -> Table:
    """Return the newest snapshots, a line each, and of the older ones a line a day; times are local."""
    newest, older = rows[:most], rows[most:]
    lines = [_line(row, now, zone) for row in newest]
    for _day, some in groupby(older, key=lambda row: row.taken_at.astimezone(zone).date()):
        lines.append(_day_line(list(some), now, zone))
    headings = ("snapshot (UTC)", "taken", "age", "files", "size", "kept until", "")
    return Table(headings, tuple(lines), frozenset({"age", "files", "size"}))


def change_lines(changes: Sequence[Change], most: int) -> list[str]:
    """Return one line a change, and how many more there are; then the totals."""
    lines = [f"  {row.kind.value} {safe(row.path)}  {_sizes(row)}".rstrip() for row in changes[:most]]
    if len(changes) > most:
        lines.append(f"  … and {len(changes) - most:,} more")
    return [*lines, change_totals(changes)]


def change_totals(changes: Sequence[Change]) -> str:
    """Return the counts as a sentence."""
    found = totals(changes)
    if not changes:
        return "Nothing differs."
    more = size_words(abs(found.bytes))
    balance = "as large as before" if not found.bytes else f"{more} {'more' if found.bytes > 0 else 'less'}"
    return f"{found.added:,} added, {found.removed:,} removed, {found.changed:,} changed; {balance}."


def version_table(versions: Sequence[Version], now: datetime, zone: tzinfo | None = None) -> Table:
    """Return one line a version, from new to old."""
    lines = [
        (safe(row.path), row.newest, in_words(row.newest, now, zone), size_words(row.size), row.sha256[:12])
        for row in versions
    ]
    return Table(("file", "newest in", "taken", "size", "sha-256"), tuple(lines), frozenset({"size"}))


def calendar_lines(rows: Iterable[SnapshotRow], now: datetime) -> list[str]:
    """Return the last weeks as a calendar of UTC days: each with its number and a bar for how many are kept."""
    counts = day_counts(rows)
    most = max(counts.values(), default=0)
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    lines = ["        Mon    Tue    Wed    Thu    Fri    Sat    Sun"]
    for week in range(WEEKS):
        monday = first + timedelta(weeks=week)
        cells = [_cell(monday + timedelta(days=day), counts, most, today) for day in range(7)]
        lines.append(f"{monday:%b %d}  " + "".join(cells).rstrip())
    return lines


def day_counts(rows: Iterable[SnapshotRow]) -> dict[date, int]:
    """Return how many restorable snapshots each UTC day has."""
    counts: dict[date, int] = {}
    for row in rows:
        if row.restorable:
            day = row.taken_at.date()
            counts[day] = counts.get(day, 0) + 1
    return counts


def summary(rows: Sequence[SnapshotRow], now: datetime) -> str:
    """Return how many there are and how old the newest is, or that there is nothing yet."""
    restorable = [row for row in rows if row.restorable]
    if not rows:
        return "Nothing has been backed up yet."
    if not restorable:
        return f"{counted(len(rows), 'snapshot')}, none of which is complete."
    newest, oldest = restorable[0], restorable[-1]
    return (
        f"{counted(len(restorable), 'snapshot')} can be restored, the newest {age_words(now - newest.taken_at)} old, "
        f"the oldest of {oldest.name}."
    )


def _cell(day: date, counts: dict[date, int], most: int, today: date) -> str:
    if day > today:
        return "       "
    count = counts.get(day, 0)
    bar = BARS[max(1, round(count * (len(BARS) - 1) / most))] if count else "·"
    return f" {bar}{count if count else '':<3}  "


def _line(row: SnapshotRow, now: datetime, zone: tzinfo | None) -> tuple[str, ...]:
    notes = ["latest"] if row.latest else []
    state = _STATES[row.completeness]
    if state:
        notes.append(f"{state}: {safe(row.quarantined)}" if row.quarantined else state)
    return (
        row.name,
        in_words(row.name, now, zone),
        age_words(now - row.taken_at),
        "-" if row.files is None else f"{row.files:,}",
        size_words(row.size_bytes),
        _until(row),
        ", ".join(notes),
    )


def _day_line(rows: Sequence[SnapshotRow], now: datetime, zone: tzinfo | None) -> tuple[str, ...]:
    head = next((row for row in rows if row.restorable), rows[0])
    line = _line(head, now, zone)
    if len(rows) == 1:
        return line
    return (*line[:-1], ", ".join(filter(None, (line[-1], f"and {len(rows) - 1} more of that day"))))


def _until(row: SnapshotRow) -> str:
    return "stays" if row.expires is None else f"{row.expires:%a %m-%d}"


def _sizes(row: Change) -> str:
    if row.size_before is not None and row.size_after is not None and row.size_before != row.size_after:
        sizes = f"{size_words(row.size_before)} becomes {size_words(row.size_after)}"
    else:
        size = row.size_after if row.size_after is not None else row.size_before
        sizes = "" if size is None else size_words(size)
    others = ", ".join(respect for respect in row.respects if respect != "content")
    return f"({', '.join(filter(None, (sizes, others)))})" if sizes or others else ""
