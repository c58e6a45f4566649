"""The moment that a person means. Pure."""

from datetime import UTC, datetime

from openclaw_agent.snapshot.names import parse_snapshot_name

FORMS = "2026-11-25T14:00Z, '2026-11-25 14:00' (UTC), 2026-11-25T15:00+01:00, or a snapshot's name (2026-11-25-14-00)"


def parse_moment(text: str) -> datetime:
    """Return the instant (UTC) of a text in one of `FORMS`; one without a zone is UTC, as snapshot names are.

    Raises:
        ValueError: the text is none of them.
    """
    named = parse_snapshot_name(text.strip())
    if named is not None:
        return named
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; allowed is {FORMS}") from None


def in_words(moment: datetime) -> str:
    """Return a moment as every sentence here writes it, and as `parse_moment` reads it."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
