"""What a retention plan says, for people (a table and a sentence in plain text) and for programs (a JSON document)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from openclaw_agent.retention.policy import Decision, RetentionPlan, Rule
from openclaw_agent.retention.tiers import TIERS
from openclaw_agent.streams import on_one_line

_HEADINGS = ("SNAPSHOT", "AGE", "TIER", "ACTION", "WHY")


@dataclass(frozen=True, slots=True)
class _Row:
    snapshot: str
    age: str
    tier: str
    action: str
    reason: str

    def cells(self) -> tuple[str, ...]:
        return (self.snapshot, self.age, self.tier, self.action, self.reason)


def retention_table(plan: RetentionPlan) -> str:
    """Return the plan as a table in plain text: snapshot, age, tier, keep or delete, why; newest first."""
    return _columns([_row(decision) for decision in plan.decisions])


def retention_sentence(plan: RetentionPlan, *, dry_run: bool) -> str:
    """Return the plan in one or two sentences; `dry_run` says what would be done instead of what is done."""
    kept, removed = plan.kept, plan.removed
    total = _counted(len(plan.decisions), "snapshot")
    delete = "Would delete" if dry_run else "Deleting"
    keep = "keep" if dry_run else "keeping"
    if not plan.decisions:
        return "There is no snapshot, so nothing to delete."
    if not removed:
        text = f"Nothing to delete: {total} {'stays' if len(kept) == 1 else 'stay'}{_by_tier(kept)}."
    else:
        text = f"{delete} {len(removed)} of {total} and {keep} {len(kept)}{_by_tier(kept)}."
    future = [decision.snapshot.name for decision in kept if decision.rule is Rule.FUTURE]
    if future:
        named = f"{_counted(len(future), 'name')} of the future ({future[0]} first)"
        text += f" {named} will never be deleted: a clock was wrong, or somebody else wrote there."
    guarded = [decision.snapshot.name for decision in kept if decision.rule is Rule.NEWEST_COMPLETE]
    if guarded:
        text += f" {guarded[0]} stays only because latest/ is not complete."
    return text


def retention_document(plan: RetentionPlan) -> dict[str, object]:
    """Return the plan for `json.dumps`: the question, the counts, and one object a snapshot (ages in seconds)."""
    return {
        "now": plan.now.isoformat(),
        "latest_complete": plan.latest_complete,
        "strict_midnight": plan.strict_midnight,
        "keep": len(plan.kept),
        "delete": len(plan.removed),
        "snapshots": [_decision_document(decision) for decision in plan.decisions],
    }


def retention_policy_table() -> str:
    """Return the policy as the docs' Markdown table, one row a tier."""
    lines = ["| Age | Tier | Policy |", "|-----|------|--------|"]
    lines += [f"| {row.age_range} | {row.tier.value} | {row.policy} |" for row in TIERS]
    return "\n".join(lines)


def age_words(age: timedelta) -> str:
    """Return an age in its two largest units, rounded down: `40 min`, `23 h 40 min`, `6 d 23 h`; `in 5 min` ahead."""
    if age < timedelta(0):
        return f"in {age_words(-age)}"
    minutes = age // timedelta(minutes=1)
    hours, days = minutes // 60, minutes // 1440
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _row(decision: Decision) -> _Row:
    age = "-" if decision.age is None else age_words(decision.age)
    name = on_one_line(decision.snapshot.name)
    return _Row(name, age, _tier_word(decision), decision.action.value, decision.reason)


def _tier_word(decision: Decision) -> str:
    return "-" if decision.tier is None else decision.tier.value


def _columns(rows: Sequence[_Row]) -> str:
    lines = [_HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS) - 1)]
    widths.append(0)
    return "\n".join("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines)


def _by_tier(decisions: Iterable[Decision]) -> str:
    counts = Counter(_tier_word(decision) if decision.tier else decision.rule.value for decision in decisions)
    return f" ({', '.join(f'{count} {word}' for word, count in counts.items())})" if counts else ""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _decision_document(decision: Decision) -> dict[str, object]:
    return {
        "name": decision.snapshot.name,
        "time": None if decision.taken_at is None else decision.taken_at.isoformat(),
        "age_seconds": None if decision.age is None else int(decision.age.total_seconds()),
        "tier": None if decision.tier is None else decision.tier.value,
        "complete": decision.snapshot.complete,
        "quarantined": decision.snapshot.quarantined,
        "action": decision.action.value,
        "rule": decision.rule.value,
        "reason": decision.reason,
    }
