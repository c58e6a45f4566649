import json
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import pytest

from lab.demo.month import manifest_of_nothing, month_of_snapshot_names
from openclaw_agent.catalog.snapshots import list_snapshots
from openclaw_agent.errors import AgentError
from openclaw_agent.exit_codes import ExitCode
from openclaw_agent.retention import prune
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.snapshot.names import format_snapshot_name
from openclaw_agent.store.bucket import Bucket
from tests.support.simulated_instance import FreshBucket, SimulatedInstance

NOW = datetime(2026, 2, 27, 14, 30, tzinfo=UTC)
AT_NOW = ("--now", NOW.isoformat())
# The newest one that is a day old always stays; older ones are judged by the table alone.
FLOOR = "2026-02-26-00-00"
# 10,000 take about a minute in moto.
MANY_SNAPSHOTS = int(os.environ.get("OPENCLAW_TEST_SNAPSHOTS", "1100"))


@pytest.fixture
def operator(world: FreshBucket) -> SimulatedInstance:
    """A machine that never owned the bucket: someone at a laptop."""
    return world.machine("laptop")


def complete(world: FreshBucket, *names: str) -> None:
    world.put_all({snapshot_manifest_key(name): manifest_of_nothing(name).decode() for name in names})


def names_left(world: FreshBucket) -> set[str]:
    pages = world.s3.get_paginator("list_objects_v2").paginate(Bucket=world.bucket, Prefix="snapshots/")
    return {row["Key"].split("/")[1] for page in pages for row in page.get("Contents", [])}


def test_a_dry_run_prints_each_snapshot_with_its_reason_and_deletes_nothing(
    world: FreshBucket, operator: SimulatedInstance
) -> None:
    complete(world, "2026-02-27-14-00", "2026-02-26-00-00", "2026-02-25-00-00", "2026-02-25-11-00", "2026-01-01-00-00")
    run = operator.lifecycle("--dry-run", *AT_NOW)
    assert run.code == 0
    rows = {line.split()[0]: line for line in run.out.splitlines()[1:]}
    assert "keep all" in rows["2026-02-27-14-00"]
    assert "keep" in rows["2026-02-25-00-00"]
    assert "delete" in rows["2026-02-25-11-00"]
    assert "delete" in rows["2026-01-01-00-00"]
    assert len(names_left(world)) == 5


def test_a_run_deletes_what_the_dry_run_said_and_a_second_one_nothing(
    world: FreshBucket, operator: SimulatedInstance
) -> None:
    complete(world, *month_of_snapshot_names(NOW, step=timedelta(hours=3)))
    planned = json.loads(operator.lifecycle("--dry-run", "--json", *AT_NOW).out)
    kept = {row["name"] for row in planned["snapshots"] if row["action"] == "keep"}
    assert operator.lifecycle(*AT_NOW).code == 0
    assert names_left(world) == kept
    assert json.loads(operator.lifecycle("--json", *AT_NOW).out)["delete"] == 0


def test_latest_foreign_names_and_the_only_restore_point_stay(world: FreshBucket, operator: SimulatedInstance) -> None:
    complete(world, "2025-12-01-00-00")
    world.put("latest/.openclaw/a", "a")
    world.put("snapshots/by-hand/.openclaw/a", "a")
    world.put("snapshots/README.txt", "in no snapshot's folder")
    world.put("snapshots/2027-01-01-00-00/manifest.json", "{}")
    assert operator.lifecycle(*AT_NOW).code == 0
    assert names_left(world) == {"2025-12-01-00-00", "by-hand", "README.txt", "2027-01-01-00-00"}
    assert world.get("latest/.openclaw/a") == b"a"


def test_incomplete_snapshots_go_after_a_day_with_everything_in_them(
    world: FreshBucket, operator: SimulatedInstance
) -> None:
    complete(world, "2026-02-27-14-00")
    for number in range(3):
        world.put(f"snapshots/2026-02-26-14-00/.openclaw/{number}", "part")
        world.put(f"snapshots/2026-02-27-13-40/.openclaw/{number}", "part")
    assert operator.lifecycle(*AT_NOW).code == 0
    assert names_left(world) == {"2026-02-27-14-00", "2026-02-27-13-40"}


def test_a_quarantined_snapshot_never_stands_for_a_day(world: FreshBucket, operator: SimulatedInstance) -> None:
    complete(world, "2026-02-25-00-00", "2026-02-25-09-00")
    world.put("snapshots/2026-02-25-00-00/quarantined", "fenced")
    assert operator.lifecycle(*AT_NOW).code == 0
    assert "2026-02-25-09-00" in names_left(world)


def test_a_run_that_breaks_leaves_no_snapshot_that_claims_to_be_whole(
    world: FreshBucket, operator: SimulatedInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(world, FLOOR, "2026-02-27-14-00", "2026-01-01-00-00", "2026-01-02-00-00")
    for name in ("2026-01-01-00-00", "2026-01-02-00-00"):
        world.put(f"snapshots/{name}/.openclaw/a", "a")
    deleted: list[str] = []
    genuine = Bucket.delete

    def broken_off(self: Bucket, keys: Iterable[str]) -> dict[str, str]:
        wanted = list(keys)
        if deleted:
            raise KeyboardInterrupt
        deleted.extend(wanted)
        return genuine(self, wanted)

    monkeypatch.setattr(Bucket, "delete", broken_off)
    assert operator.lifecycle(*AT_NOW).code == 1
    assert {key.rsplit("/", 1)[1] for key in deleted} == {"manifest.json"}
    monkeypatch.undo()
    assert operator.lifecycle(*AT_NOW).code == 0
    assert names_left(world) == {FLOOR, "2026-02-27-14-00"}


def test_refused_deletions_are_tried_again_and_then_reported(
    world: FreshBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(world, FLOOR, "2026-02-27-14-00", "2026-01-01-00-00")
    attempts: list[list[str]] = []

    def refused(_self: Bucket, keys: Iterable[str]) -> dict[str, str]:
        attempts.append(list(keys))
        return dict.fromkeys(attempts[-1], "AccessDenied")

    monkeypatch.setattr(Bucket, "delete", refused)
    store = world.store()
    plan = prune.plan_prune(
        list_snapshots(store),
        NOW,
        strict_midnight=False,
        latest=None,
        is_whole=lambda _name: True,
        bases_of=lambda _name: (),
    )
    pauses: list[float] = []
    with pytest.raises(AgentError, match=r"S3 refused to delete 1 objects .*AccessDenied") as caught:
        prune.prune(store, plan, pauses.append)
    assert caught.value.exit_code is ExitCode.FAILED
    assert sum(1 for keys in attempts if keys) == 3
    assert pauses == [1.0, 1.0]


def test_a_fenced_instance_deletes_nothing(world: FreshBucket) -> None:
    first = world.booted("first")
    first.write("notes.md")
    assert first.backup().code == 0
    complete(world, "2026-01-01-00-00", "2026-02-27-14-00")
    world.booted("second")
    run = first.lifecycle(*AT_NOW)
    assert run.code == 75
    assert "instance second holds the lease on" in run.err
    assert names_left(world) >= {"2026-01-01-00-00", "2026-02-27-14-00"}


def test_the_owner_itself_may_prune(world: FreshBucket) -> None:
    owner = world.booted("first")
    complete(world, "2026-01-01-00-00", FLOOR, "2026-02-27-14-00")
    assert owner.lifecycle(*AT_NOW).code == 0
    assert names_left(world) == {FLOOR, "2026-02-27-14-00"}


def test_after_a_pause_of_40_days_one_snapshot_of_before_stays_in_the_bucket_until_a_newer_one_is_a_day_old(
    world: FreshBucket,
) -> None:
    owner = world.booted("first")
    resumed = NOW + timedelta(days=40)
    before = [format_snapshot_name(NOW - timedelta(hours=hours)) for hours in range(0, 72, 6)]
    complete(world, *before)
    assert owner.lifecycle("--now", resumed.isoformat()).code == 0
    assert names_left(world) == {before[0]}
    complete(world, format_snapshot_name(resumed), format_snapshot_name(resumed + timedelta(hours=24)))
    assert owner.lifecycle("--now", (resumed + timedelta(hours=23)).isoformat()).code == 0
    assert before[0] in names_left(world)
    assert owner.lifecycle("--now", (resumed + timedelta(hours=25)).isoformat()).code == 0
    assert before[0] not in names_left(world)


def test_a_snapshot_of_many_files_costs_no_more_requests_than_its_manifest(
    world: FreshBucket, operator: SimulatedInstance
) -> None:
    complete(world, "2026-02-27-13-00", "2026-02-27-14-00")
    # More than one page of a listing.
    world.put_all({f"snapshots/2026-02-27-13-00/.openclaw/{number:05d}": "" for number in range(1100)})
    run = operator.lifecycle("--dry-run", *AT_NOW)
    assert run.code == 0
    assert run.requests["LIST"] <= 2
    assert "2026-02-27-14-00" in run.out


def test_many_thousand_snapshots_are_pruned_in_batches(world: FreshBucket, operator: SimulatedInstance) -> None:
    names = [format_snapshot_name(NOW - timedelta(minutes=20 * number)) for number in range(MANY_SNAPSHOTS)]
    complete(world, *names)
    run = operator.lifecycle(*AT_NOW)
    assert run.code == 0, run.err
    left = names_left(world)
    assert len(left) < 100
    assert run.requests["DELETE"] <= 2 + 2 * MANY_SNAPSHOTS // 1000
    assert run.line["deleted_snapshots"] == MANY_SNAPSHOTS - len(left)


def test_without_an_instant_it_is_now(world: FreshBucket, operator: SimulatedInstance) -> None:
    now = datetime.now(UTC)
    complete(world, *(format_snapshot_name(now - timedelta(hours=age)) for age in (1, 25)), "2026-01-01-00-00")
    rows = {line.split()[0]: line for line in operator.lifecycle("--dry-run").out.splitlines()[1:]}
    assert "delete" in rows["2026-01-01-00-00"]
    assert sum("keep all" in line for line in rows.values()) == 1


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "14:00"])
def test_an_instant_that_is_none_is_refused_in_one_sentence(operator: SimulatedInstance, text: str) -> None:
    run = operator.lifecycle("--now", text)
    assert run.code == 2
    assert repr(text) in run.err
    assert "2026-02-27T14:00:00Z" in run.err


def torn_manifest(world: FreshBucket) -> None:
    body = world.get("latest/manifest.json")
    world.put("latest/manifest.json", body[:-40])


def manifest_of_a_newer_agent(world: FreshBucket) -> None:
    body = world.get("latest/manifest.json")
    world.put("latest/manifest.json", body.replace(b'"format":2', b'"format":3', 1))


def lost_object(world: FreshBucket) -> None:
    world.delete("latest/.openclaw/a")


def object_of_another_size(world: FreshBucket) -> None:
    world.put("latest/.openclaw/a", "another text")


@pytest.mark.parametrize("damage", [torn_manifest, manifest_of_a_newer_agent, lost_object, object_of_another_size])
def test_the_only_snapshot_stays_where_latest_cannot_be_restored_whole(
    world: FreshBucket, damage: Callable[[FreshBucket], None]
) -> None:
    writer = world.booted("writer")
    writer.write("a", "text")
    assert writer.backup().code == 0
    (name,) = names_left(world)
    far_off = ("--now", "2026-12-01T00:00:00+00:00")
    damage(world)
    assert writer.lifecycle(*far_off).code == 0
    assert names_left(world) == {name}
