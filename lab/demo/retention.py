"""The section in which the lifecycle sorts out a month of snapshots, run by the real command."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from lab.demo.month import month_of_snapshot_names, put_month
from lab.world.deployment import REPOSITORY, DeployedStacks
from lab.world.terminal import Terminal

COMMAND = REPOSITORY / "scripts" / "openclaw-s3-lifecycle.py"


def show_lifecycle(cloud: DeployedStacks, endpoint_url: str, terminal: Terminal) -> None:
    """Fill the bucket with a month, look at the plan, carry it out, and count what is left."""
    before = _snapshot_names(cloud)
    now = datetime.now(UTC)
    names = month_of_snapshot_names(now)
    put_month(cloud.bucket, endpoint_url, cloud.aws.region, names)
    terminal.step(f"{len(names)} hourly snapshots of the last 35 days are in the bucket")
    plan = _run(cloud, endpoint_url, "--dry-run")
    terminal.step(f"dry run: {plan['delete']} of {plan['delete'] + plan['keep']} would be deleted")
    terminal.check("a dry run deletes nothing", _snapshot_names(cloud) == before | set(names))
    _run(cloud, endpoint_url)
    left = _snapshot_names(cloud)
    terminal.check("the lifecycle keeps every snapshot younger than 24 h", before <= left, str(before - left))
    expected = _expected_of_the_month(names, now)
    terminal.check(
        f"of the month {len(expected)} are left: the 00:00 one of each day for a week, of each Friday for a month, and "
        "the newest that is a day old",
        left - before == expected,
        f"unexpected {sorted(left - before - expected)[:5]}, missing {sorted(expected - left)[:5]}",
    )
    again = _run(cloud, endpoint_url)
    terminal.check("a second run finds nothing to delete", again["delete"] == 0, str(again["delete"]))


def _expected_of_the_month(names: list[str], now: datetime) -> set[str]:
    """What the notes' table keeps of hourly snapshots older than 24 h, worked out without the agent's rules.

    Besides, retention's floor: the newest of them, whatever its hour.
    """
    expected = {max(names)}
    for name in names:
        taken_at = datetime.strptime(name, "%Y-%m-%d-%H-%M").replace(tzinfo=UTC)
        days = (now - taken_at) / timedelta(days=1)
        if taken_at.hour == 0 and (days < 7 or (taken_at.isoweekday() == 5 and days < 30)):
            expected.add(name)
    return expected


def _run(cloud: DeployedStacks, endpoint_url: str, *flags: str) -> dict[str, int]:
    environment = {**os.environ, "AWS_ENDPOINT_URL": endpoint_url}
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, str(COMMAND), "--bucket", cloud.bucket, "--region", cloud.aws.region, "--json", *flags],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"openclaw-s3-lifecycle.py failed: {done.stderr}")
    document: dict[str, int] = json.loads(done.stdout)
    return document


def _snapshot_names(cloud: DeployedStacks) -> set[str]:
    pages = (
        cloud.aws.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=cloud.bucket, Prefix="snapshots/", Delimiter="/")
    )
    return {row["Prefix"].split("/")[1] for page in pages for row in page.get("CommonPrefixes", [])}
