"""The gaps of a manifest as JSON. Pure."""

from collections.abc import Iterable
from typing import Any

from openclaw_agent.snapshot.manifest import Gap


def gap_fields(gap: Gap) -> dict[str, object]:
    """One row; what says nothing is not written."""
    fields: dict[str, object] = {"path": gap.path, "reason": gap.reason, "accepted": gap.accepted}
    return fields | {"missing": True} if gap.missing else fields


def gaps_of_rows(rows: Iterable[dict[str, Any]]) -> tuple[Gap, ...]:
    """The gaps that these rows stand for.

    Raises:
        KeyError, TypeError: when one of them is none.
    """
    return tuple(
        Gap(
            str(row["path"]),
            str(row["reason"]),
            accepted=row.get("accepted") is True,
            missing=row.get("missing") is True,
        )
        for row in rows
    )
