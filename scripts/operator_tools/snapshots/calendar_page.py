"""The snapshots as one HTML page without scripts: a calendar above, each day's list below; fits a phone. Pure."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template

from openclaw_agent.history.pages import WEEKS, day_counts, summary
from openclaw_agent.history.survey import SnapshotRow
from openclaw_agent.history.tables import size_words

_PAGE = Path(__file__).with_name("calendar.html.tmpl")
_STRENGTHS = 4


def calendar_page(stack: str, rows: Sequence[SnapshotRow], now: datetime) -> str:
    """Return the page; days are those of UTC, as in snapshots' names."""
    return Template(_PAGE.read_text(encoding="utf-8")).substitute(
        stack=escape(stack),
        made=f"{now.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        summary=escape(summary(rows, now)),
        cells="\n".join(_cells(rows, now)),
        days="\n".join(_days(rows)),
    )


def _cells(rows: Sequence[SnapshotRow], now: datetime) -> list[str]:
    counts = day_counts(rows)
    most = max(counts.values(), default=1)
    today = now.astimezone(UTC).date()
    first = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    return [_cell(first + timedelta(days=day), counts, most, today) for day in range(7 * WEEKS)]


def _cell(day: date, counts: dict[date, int], most: int, today: date) -> str:
    count = counts.get(day, 0)
    number = f"<b>{day.day}</b>"
    if not count:
        return f'<div class="day{" ahead" if day > today else ""}">{number}</div>'
    strength = max(1, round(count * _STRENGTHS / most))
    return f'<a class="day s{strength}" href="#d{day.isoformat()}">{number}<span>{count}</span></a>'


def _days(rows: Sequence[SnapshotRow]) -> list[str]:
    found = []
    for day, some in groupby(rows, key=lambda row: row.taken_at.date()):
        lines = "\n".join(_line(row) for row in some)
        found.append(
            f'<section id="d{day.isoformat()}"><h2>{day:%A} {day.isoformat()}</h2><ul>\n{lines}\n</ul></section>'
        )
    return found


def _line(row: SnapshotRow) -> str:
    facts = [f"{row.files:,} files, {size_words(row.size_bytes)}" if row.files is not None else "not readable"]
    if row.latest:
        facts.append("latest")
    if not row.restorable:
        facts.append(f"not restored by time ({row.completeness.value})")
    facts.append("stays" if row.expires is None else f"kept until {row.expires.date().isoformat()}")
    return f"<li><code>{escape(row.name)}</code> <span>{escape(', '.join(facts))}</span></li>"
