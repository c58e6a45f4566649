"""Texts of the report that are the same in its table, its timelines and its lists. Pure."""

from unicodedata import category

from lab.report.layout import Item
from lab.report.record import DrillRecord, Event, Severity

SEVERITY_TEXTS = {Severity.GOOD: "as it should be", Severity.BAD: "a loss or an outage", Severity.NEUTRAL: "a step"}
SIGNS = {Severity.GOOD: "✓", Severity.BAD: "✕", Severity.NEUTRAL: "·"}
VERDICT_SIGNS = {"passed": "✓", "failed": "✕", "skipped": "○"}
"""Seen beside the colour, for those who do not see it."""

_UNWRITABLE = {"Cc", "Cs", "Cn"}
_REPLACED = "\N{REPLACEMENT CHARACTER}"

NOT_MEASURED = "\N{EN DASH}"


def plain(text: str) -> str:
    """Return a text without what neither XML nor UTF-8 can hold; each such character becomes U+FFFD."""
    return "".join(_REPLACED if category(letter) in _UNWRITABLE and letter not in "\n\t" else letter for letter in text)


def seconds_text(seconds: float) -> str:
    """Return a duration as short as it stays exact enough: 18 ms, 2.4 s, 75 s, 12 min 5 s."""
    if abs(seconds) < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if abs(seconds) < 9.95:
        return f"{seconds:.1f} s"
    if abs(seconds) < 599.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def lost_text(record: DrillRecord) -> str:
    """Return how much work is gone."""
    if record.lost_seconds is None:
        return NOT_MEASURED
    return seconds_text(record.lost_seconds) if record.lost_seconds else "nothing"


def ready_text(record: DrillRecord) -> str:
    """Return how long the gateway was away."""
    if record.ready_seconds is None:
        return NOT_MEASURED
    return seconds_text(record.ready_seconds) if record.ready_seconds else "never away"


def verdict(record: DrillRecord) -> str:
    """Return one word, which is also the class of the style sheet."""
    if record.failure:
        return "failed"
    return "skipped" if record.skipped else "passed"


def when_text(item: Item) -> str:
    """Return when an event happened, or from when to when a span lasted and how long that was."""
    if isinstance(item.what, Event):
        return f"{item.began:.2f} s"
    return f"{item.began:.2f} to {item.ended:.2f} s ({seconds_text(item.ended - item.began)})"


def mark_text(item: Item) -> str:
    """Return all that a mark stands for, for a pointer that rests on it and for a screen reader."""
    severity = SEVERITY_TEXTS[item.what.severity]
    return f"{item.number}. {item.what.track}, {when_text(item)}: {plain(item.what.text)} ({severity})"
