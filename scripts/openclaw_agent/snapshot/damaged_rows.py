"""The damaged databases of a manifest as JSON. Pure."""

from collections.abc import Iterable

from openclaw_agent.snapshot.manifest import DamagedDatabase
from openclaw_agent.snapshot.row_limits import MOST_HEADER_BYTES, MOST_HEADER_ROWS, first_rows


def rows_in_header(rows: Iterable[DamagedDatabase]) -> tuple[DamagedDatabase, ...]:
    """The first rows, which stand in the header; the others stand in the last line."""
    return first_rows(rows, lambda row: row.path + row.problem, most=MOST_HEADER_ROWS, most_bytes=MOST_HEADER_BYTES)


def damaged_fields(rows: Iterable[DamagedDatabase]) -> list[dict[str, str]]:
    """The rows."""
    return [
        {
            "path": row.path,
            "problem": row.problem,
            "stored_as": row.stored_as,
            "last_good": row.last_good,
            "sha256": row.sha256.hex(),
        }
        for row in rows
    ]
