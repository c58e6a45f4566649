"""What an undelete would do and has done, in sentences for people and in a document for programs. Pure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from openclaw_agent.streams import on_one_line
from operator_tools.undelete.moments import in_words
from operator_tools.undelete.plan import UndeletePlan

if TYPE_CHECKING:
    from operator_tools.undelete.bucket_calls import Refused

NAMED_AT_MOST = 10
COPY_DOLLARS = 0.005 / 1000
"""A COPY request in us-east-1, in dollars (S3's price list); deletions cost nothing."""


def plan_lines(bucket: str, plan: UndeletePlan) -> list[str]:
    """Return what has to be done, a line an item."""
    if not plan.waves and not plan.archived:
        return [f"{bucket} is as it stood at {in_words(plan.moment)}; there is nothing to do."]
    lines = [
        f"To bring {bucket} back to {in_words(plan.moment)}:",
        f"  copy forward  {len(plan.copies)} objects, {plan.copied_bytes / 1e6:,.1f} MB, "
        f"about ${len(plan.copies) * COPY_DOLLARS:.2f} in requests",
        f"  delete        {len(plan.deletions)} objects that did not exist then (they stay as versions)",
        f"  leave         {plan.unchanged} objects as they are",
    ]
    if plan.snapshots:
        lines.append(f"  snapshots that come back: {_named(plan.snapshots)}")
    if plan.archived:
        lines.append(
            f"  cannot copy   {len(plan.archived)} archived objects: {_named([each.key for each in plan.archived])}; "
            "thaw them first (aws s3api restore-object)"
        )
    return lines


def closing_lines(stack: str, plan: UndeletePlan, refused: "Sequence[Refused]") -> list[str]:
    """Return what is so now, and what comes next."""
    lines = [f"S3 refused {len(refused)}: {_named([f'{each.key} ({each.reason})' for each in refused])}"]
    if refused:
        return [*lines, "Run it again: what is done already is left as it is."]
    done = f"latest/, snapshots/ and the lease record are as they stood at {in_words(plan.moment)}."
    if plan.archived:
        done = "All but the archived objects are back."
    return [done, f"Next: make resume STACK={stack}, which restores it. Undo: undelete again, to a moment before now."]


def undelete_document(bucket: str, plan: UndeletePlan, refused: "Sequence[Refused] | None") -> dict[str, object]:
    """Return plan and outcome for `json.dumps`; `applied` is false for a dry run."""
    return {
        "bucket": bucket,
        "at": in_words(plan.moment),
        "applied": refused is not None,
        "copies": len(plan.copies),
        "bytes": plan.copied_bytes,
        "deletions": len(plan.deletions),
        "unchanged": plan.unchanged,
        "snapshots": plan.snapshots,
        "archived": [each.key for each in plan.archived],
        "refused": [{"key": each.key, "reason": each.reason} for each in refused or ()],
    }


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(on_one_line(name) for name in names[:NAMED_AT_MOST])
    more = len(names) - NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown
