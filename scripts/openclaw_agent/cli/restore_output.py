"""What `openclaw-s3-restore.py` prints: the list of restore points, and the differences to one."""

from openclaw_agent.catalog.listing import ListRow
from openclaw_agent.restore.diff import Difference
from openclaw_agent.streams import on_one_line


def list_table(rows: list[ListRow]) -> str:
    """The list as text in columns."""
    head = ("snapshot", "age", "files", "size", "own", "complete", "tier", "needs")
    cells = [
        (
            # Somebody else's folder may have any name.
            on_one_line(row.name),
            row.age,
            "-" if row.files is None else f"{row.files:,}",
            "-" if row.size_bytes is None else f"{row.size_bytes:,}",
            "-" if row.own_bytes is None else f"{row.own_bytes:,}",
            row.complete,
            row.tier,
            " ".join(row.bases),
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *cells)) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (head, *cells))
    invalid = (on_one_line(f"Invalid: {row.name}. {row.problem}") for row in rows if row.problem)
    return "\n".join([*(line.rstrip() for line in lines), *invalid])


def differences_text(rows: list[Difference], snapshot: str) -> str:
    """A line for each difference, and how many there are."""
    lines = [f"{row.action:<7} {row.path!r}" + (f"  ({row.respects})" if row.respects else "") for row in rows]
    total = f"{len(rows)} differences to {snapshot}." if rows else f"No difference to {snapshot}."
    return "\n".join([*lines, total])
