"""`openclaw-lab status`: am I safe, and what runs?"""

import argparse
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from openclaw_agent.history.moments import in_words
from openclaw_agent.history.tables import counted, size_words
from openclaw_agent.retention.report import age_words
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.store.manifests import load_header_or_none
from openclaw_ec2_spot.alarm_rules import NO_GOOD_BACKUP, minutes_without_backup
from operator_tools.account.errors import AccountError, ExitCode
from operator_tools.instance.there import ask_instance
from operator_tools.program.output import Output
from operator_tools.stack.stack import Stack


@dataclass(frozen=True, slots=True)
class Backups:
    """What S3 holds: the snapshot of `latest/`, its age, files and bytes; None where nothing is backed up."""

    name: str
    age: timedelta
    files: int
    size_bytes: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's own flags."""
    parser.add_argument("--quick", action="store_true", help="do not ask the instance itself, nor for the price")


def run(options: argparse.Namespace, out: Output) -> int:
    """Ask everywhere, and print one screen."""
    stack = Stack.of(options)
    now = datetime.now(UTC)
    with out.waiting(f"Looking at {stack.name}"):
        group = stack.group()
        backups = _backups(stack, now)
        alarms = _alarms(stack)
        machine = _machine(stack, group.in_service) if group.in_service else {}
        inside, silence = _inside(stack, group.in_service) if group.in_service and not options.quick else ({}, "")
        month = None if options.quick else _month(stack)
    verdict = _verdict(backups, alarms, inside, paused=not group.desired)
    out.document(
        {
            "stack": stack.name,
            "region": stack.region,
            "desired": group.desired,
            "instances": [{"id": name, "zone": zone, "state": state} for name, zone, state in group.members],
            "machine": machine,
            "last_backup": _document(backups, now),
            "alarms": alarms,
            "instance": inside or None,
            "month_usd": month,
            "safe": verdict.startswith("Safe"),
            "verdict": verdict,
        }
    )
    lines = [verdict, *_instance_lines(group.desired, group.members, machine, now)]
    lines += _inside_lines(inside, now) if inside else [f"gateway   not asked: {silence}"] if silence else []
    lines += [_backup_line(backups, inside, now), f"alarms    {', '.join(alarms) if alarms else 'none'}"]
    lines += [f"cost      about ${month:.2f} a month ({stack.words('cost')})"] if month is not None else []
    out.say(*lines)
    out.next(stack.words(_next(backups, group.desired, inside, safe=verdict.startswith("Safe"))))
    return ExitCode.DONE


def _backups(stack: Stack, now: datetime) -> Backups | None:
    latest = load_header_or_none(stack.store, LATEST_MANIFEST_KEY)
    taken = parse_snapshot_name(latest.manifest.snapshot) if latest else None
    if latest is None or taken is None:
        return None
    totals = latest.manifest.totals()
    return Backups(latest.manifest.snapshot, now - taken, totals.files, totals.bytes)


def _alarms(stack: Stack) -> list[str]:
    """The stack's alarms that fire now, by their short names."""
    prefix = f"{stack.scope.name}-"
    with stack.account.told_in_a_sentence("cloudwatch", "DescribeAlarms"):
        answer = stack.client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix)
    firing = (row["AlarmName"] for row in answer["MetricAlarms"] if row["StateValue"] == "ALARM")
    return sorted(name.removeprefix(prefix) for name in firing)


def _machine(stack: Stack, instance_id: str) -> dict[str, Any]:
    with stack.account.told_in_a_sentence("ec2", "DescribeInstances"):
        answer = stack.client("ec2").describe_instances(InstanceIds=[instance_id])
    for reservation in answer["Reservations"]:
        for row in reservation["Instances"]:
            return {
                "type": row["InstanceType"],
                "zone": row["Placement"]["AvailabilityZone"],
                "since": row["LaunchTime"].isoformat(),
                "image": row["ImageId"],
            }
    return {}


def _inside(stack: Stack, instance_id: str) -> tuple[dict[str, Any], str]:
    """What the instance says of itself, or why it was not reached."""
    try:
        return ask_instance(stack, instance_id, ["status"], seconds=90), ""
    except AccountError as problem:
        return {}, str(problem).partition(" Next: ")[0]


def _month(stack: Stack) -> float | None:
    from operator_tools.cost.estimate import items, total
    from operator_tools.cost.price_list import read_prices
    from operator_tools.cost.usage import Overrides, look_up_usage

    try:
        return round(total(items(look_up_usage(stack, Overrides()), read_prices())), 2)
    except AccountError:
        return None


def _verdict(backups: Backups | None, alarms: list[str], inside: dict[str, Any], *, paused: bool) -> str:
    if backups is None:
        return "NOT SAFE YET: nothing has been backed up."
    young = backups.age <= timedelta(minutes=minutes_without_backup(20))
    # Of a new stack it fires until CloudWatch has counted the first backup, which S3 has already.
    telling = [name for name in alarms if not (name == NO_GOOD_BACKUP and young)]
    if telling:
        return f"LOOK: {counted(len(telling), 'alarm fires', 'alarms fire')}: {', '.join(telling)}."
    if paused:
        return f"Safe, and paused: everything is in S3, as of {backups.name}."
    # A backup that finds nothing changed writes nothing: the instance alone knows of it.
    ran = inside.get("last_backup") or {}
    good = ran.get("result") in ("done", "unchanged")
    if not good and not young:
        return f"LOOK: the newest backup is {age_words(backups.age)} old, and the instance tells of none since."
    return "Safe: what is there is backed up."


def _instance_lines(
    desired: int, members: tuple[tuple[str, str, str], ...], machine: dict[str, Any], now: datetime
) -> list[str]:
    if not members:
        return ["instance  none: paused" if not desired else "instance  none yet: the group waits for spot capacity"]
    found = []
    for name, zone, state in members:
        facts = [machine["type"]] if machine else []
        facts += [zone]
        facts += [f"up {age_words(now - datetime.fromisoformat(machine['since']))}"] if machine else []
        facts += [] if state == "InService" else [state]
        found.append(f"instance  {name}, {', '.join(facts)}")
    return found


def _inside_lines(inside: dict[str, Any], now: datetime) -> list[str]:
    gateway, drill = inside["gateway"], inside.get("last_drill")
    state = "ready" if gateway["ready"] else "running, not ready yet" if gateway["active"] else "NOT RUNNING"
    devices = "" if inside.get("devices") is None else f", {counted(inside['devices'], 'device')} paired"
    lines = [
        f"gateway   {state}, {gateway['image'].rpartition('/')[2]}{devices}",
        f"machine   disk {inside['disk_percent']} %, memory {inside['memory_percent']} %",
    ]
    if inside.get("failed_units"):
        lines.append(f"failed    {', '.join(inside['failed_units'])}")
    if drill:
        age = age_words(now - datetime.fromisoformat(drill["time"]))
        proven = f"{drill.get('snapshot')}, restored and opened {age} ago" if drill["result"] == "proven" else "FAILED"
        lines.append(f"proven    {proven}")
    return lines


def _backup_line(backups: Backups | None, inside: dict[str, Any], now: datetime) -> str:
    if backups is None:
        return "backup    none yet"
    ran = inside.get("last_backup") or {}
    looked = f", looked {age_words(now - datetime.fromisoformat(ran['time']))} ago: {ran['result']}" if ran else ""
    at = (inside.get("next") or {}).get("openclaw-s3-backup.timer")
    then = f", next {datetime.fromisoformat(at):%H:%M} UTC" if at else ""
    size = f"{counted(backups.files, 'file')}, {size_words(backups.size_bytes)}"
    return (
        f"backup    {backups.name} ({in_words(backups.name, now)}), {age_words(backups.age)} old, {size}{looked}{then}"
    )


def _document(backups: Backups | None, now: datetime) -> dict[str, object] | None:
    if backups is None:
        return None
    return {
        "name": backups.name,
        "time": (now - backups.age).isoformat(),
        "age_seconds": int(backups.age.total_seconds()),
        "files": backups.files,
        "bytes": backups.size_bytes,
    }


def _next(backups: Backups | None, desired: int, inside: dict[str, Any], *, safe: bool) -> str:
    if not desired:
        return "resume"
    if backups is None:
        return "backup-now"
    if inside and not inside["gateway"]["ready"]:
        return "logs gateway"
    if not safe:
        return "logs agent"
    return "tunnel"
