"""What `openclaw-lab` prints on the instance, and the documents of which the operator's machine prints the same."""

from datetime import datetime
from typing import Any

from openclaw_agent.history.moments import in_words
from openclaw_agent.history.pages import change_lines
from openclaw_agent.history.tables import counted, size_words
from openclaw_agent.operate.bring_back import BroughtBack, Plan
from openclaw_agent.retention.report import age_words

MOST_CHANGES = 100
MOST_CHARACTERS = 12_000
"""Of all paths together in a document: Run Command hands on 24,000 characters."""
LINES = 40


def plan_document(plan: Plan) -> dict[str, Any]:
    """A plan for JSON; of many changes the first, and how many there are."""
    rows: list[dict[str, object]] = []
    room = MOST_CHARACTERS
    for row in plan.changes[:MOST_CHANGES]:
        room -= len(row.path)
        if room < 0:
            break
        rows.append(row.document())
    return {
        "snapshot": plan.taken.name,
        "older": plan.taken.older or None,
        "newer": plan.taken.newer or None,
        "compared_with": plan.present,
        "paths": list(plan.paths),
        "changes": rows,
        "changes_total": len(plan.changes),
        "lines": change_lines(plan.changes, min(LINES, len(rows))),
    }


def plan_text(plan: Plan, now: datetime) -> str:
    """A plan for people."""
    beside = [f"older {plan.taken.older}"] if plan.taken.older else []
    beside += [f"newer {plan.taken.newer}"] if plan.taken.newer else []
    head = f"{plan.taken.name} ({in_words(plan.taken.name, now)}; {', '.join(beside) or 'the only one'})."
    return "\n".join([head, "Restoring it would:", *change_lines(plan.changes, LINES)])


def brought_back_text(done: BroughtBack) -> str:
    """What a restore has done."""
    changed = counted(len(done.plan.changes), "path")
    return (
        f"Restored {done.plan.taken.name}: {changed} changed; the gateway was ready after {done.ready_seconds} s; "
        f"backed up as {done.backup.get('snapshot')}.\nUndo: {done.undo}"
    )


def backup_text(facts: dict[str, Any]) -> str:
    """What a backup has done."""
    if facts.get("result") == "unchanged":
        return "Nothing has changed since the last backup."
    parts = [counted(int(facts.get("files", 0)), "file"), f"{size_words(facts.get('bytes_uploaded'))} sent"]
    if "freeze_ms" in facts:
        parts.append(f"gateway frozen {facts['freeze_ms']:.0f} ms")
    if "cost_usd" in facts:
        parts.append(f"${facts['cost_usd']:.5f}")
    return f"Backed up as {facts.get('snapshot')}: {', '.join(parts)}."


def status_text(facts: dict[str, Any], now: datetime) -> str:
    """One screen of the instance."""
    gateway = facts["gateway"]
    state = "ready" if gateway["ready"] else "running, not ready yet" if gateway["active"] else "not running"
    devices = "" if facts["devices"] is None else f", {counted(facts['devices'], 'device')}"
    lines = [
        f"gateway   {state}, {gateway['image'].rpartition('/')[2] or 'no image'}{devices}",
        f"backup    {_backup(facts['last_backup'], now)}",
        f"proven    {_drill(facts['last_drill'], now)}",
        f"next      {_timers(facts['next'])}",
        f"machine   disk {facts['disk_percent']} %, memory {facts['memory_percent']} %, "
        f"up {facts['uptime_seconds'] // 3600} h {facts['uptime_seconds'] % 3600 // 60} min",
    ]
    if facts["failed_units"]:
        lines.append(f"failed    {', '.join(facts['failed_units'])}")
    return "\n".join(lines)


def _backup(facts: dict[str, Any] | None, now: datetime) -> str:
    if not facts:
        return "none has run on this instance yet"
    age = age_words(now - datetime.fromisoformat(facts["time"]))
    if facts["result"] in ("done", "unchanged"):
        what = facts.get("snapshot") or "nothing had changed"
        return f"{age} ago ({what}, {counted(int(facts.get('files', 0)), 'file')})"
    return f"FAILED {age} ago: {facts.get('error', facts['result'])}"


def _drill(facts: dict[str, Any] | None, now: datetime) -> str:
    if not facts:
        return "no restore drill has run on this instance yet"
    age = age_words(now - datetime.fromisoformat(facts["time"]))
    if facts["result"] == "proven":
        return f"{facts.get('snapshot')} was restored and opened {age} ago"
    return f"FAILED {age} ago: {facts.get('error', facts['result'])}"


def _timers(timers: dict[str, str | None]) -> str:
    found = [
        f"{name.removeprefix('openclaw-s3-').removesuffix('.timer')} {datetime.fromisoformat(at):%H:%M}"
        for name, at in timers.items()
        if at
    ]
    return f"{', '.join(found)} UTC" if found else "no timer is active"
