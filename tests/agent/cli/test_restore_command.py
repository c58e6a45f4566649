"""What openclaw-s3-restore.py itself decides: which failures raise the alarm, and where a restore in place may go."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest

from openclaw_agent.errors import StoreError
from tests.support.breaking import at_request, raising
from tests.support.simulated_instance import FreshBucket, Run, SimulatedInstance, contents

MISSING = "2026-01-01-00-00"
Break = Callable[[], AbstractContextManager[None]]


def s3_fails() -> AbstractContextManager[None]:
    return at_request("LIST", raising(StoreError("S3 fails here.")), again=True)


def on_instance(world: FreshBucket, machine: SimulatedInstance) -> SimulatedInstance:
    settings = {"backup_bucket": world.bucket, "region": "us-east-1", "metric_namespace": world.bucket}
    (machine.disk / "instance.json").write_text(json.dumps(settings))
    machine.environment["OPENCLAW_FREEZER"] = "none"
    return machine


def alarms(world: FreshBucket) -> list[str]:
    listed = world.aws.client("cloudwatch").list_metrics(Namespace=world.bucket)
    return [row["MetricName"] for row in listed["Metrics"]]


@pytest.mark.parametrize(
    ("words", "broken"),
    [
        (("list",), s3_fails),
        (("verify",), s3_fails),
        (("verify", "--snapshot", MISSING), nullcontext),
        (("diff", MISSING), nullcontext),
        (("run", "--to", "@", "--snapshot", MISSING), nullcontext),
        (("run", "--to", "@", "--path", "a", "--snapshot", MISSING), nullcontext),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_look_that_fails_raises_no_alarm(
    world: FreshBucket, machine: SimulatedInstance, words: tuple[str, ...], broken: Break
) -> None:
    looker = on_instance(world, machine)
    with broken():
        run = looker.restore(*(word.replace("@", str(looker.disk / "copy")) for word in words))
    assert run.code == 1, run.err
    assert run.line["result"] == "failed"
    assert alarms(world) == []


@pytest.mark.parametrize(
    ("words", "broken"),
    [(("boot", "--owner-wait", "0"), s3_fails), (("before-start",), nullcontext)],
    ids=["boot", "before-start"],
)
def test_what_the_gateway_needs_and_does_not_get_raises_the_alarm(
    world: FreshBucket, words: tuple[str, ...], broken: Break
) -> None:
    new = on_instance(world, world.machine("new"))
    with broken():
        assert new.restore(*words).code != 0
    assert alarms(world) == ["RestoreFailed"]


def restore_without_a_place(machine: SimulatedInstance, *words: str) -> Run:
    return machine.run_restore("--bucket", machine.world.bucket, *words)


def test_off_the_instance_a_restore_in_place_names_its_place(world: FreshBucket, machine: SimulatedInstance) -> None:
    machine.write("notes.md", "saved")
    assert machine.backup("--final").code == 0
    laptop = world.machine("laptop")
    for words in (("run",), ("--force",), ("run", "--path", "notes.md")):
        run = restore_without_a_place(laptop, *words)
        assert run.code == 2
        assert run.err.startswith("openclaw-s3-restore.py: Not on an instance: pass --to DIR")
        assert len(run.err.splitlines()) == 1
    assert restore_without_a_place(laptop, "run", "--to", str(laptop.disk / "copy")).code == 0
    laptop.environment["OPENCLAW_STATE_DIR"] = str(laptop.state)
    assert restore_without_a_place(laptop, "run").code == 0
    assert contents(laptop.state) == contents(laptop.disk / "copy") == {"notes.md": "saved"}


def test_latest_means_latest_and_nothing_else(world: FreshBucket, machine: SimulatedInstance) -> None:
    machine.write("notes.md", "one")
    assert machine.backup().code == 0
    (only,) = world.snapshots()
    looker = world.machine("looker")
    world.delete("latest/manifest.json", *world.keys("latest/"))
    target = str(looker.disk / "copy")
    run = looker.restore("run", "--snapshot", "latest", "--to", target)
    assert run.code == 1
    assert f"latest/ of the bucket {world.bucket} is empty" in run.err
    assert looker.restore("run", "--to", target).line["snapshot"] == only


def test_an_unmanaged_latest_is_taken_where_latest_is_asked_for(world: FreshBucket) -> None:
    world.put("latest/.openclaw/openclaw.json", "uploaded")
    looker = world.machine("looker")
    run = looker.restore("run", "--snapshot", "latest", "--to", str(looker.disk / "copy"))
    assert run.code == 0, run.err
    assert contents(looker.disk / "copy") == {"openclaw.json": "uploaded"}


def test_a_latest_that_cannot_be_read_is_named_where_it_is_asked_for(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    machine.write("notes.md", "one")
    assert machine.backup().code == 0
    world.put("latest/manifest.json", "no manifest")
    for words in (("verify", "--snapshot", "latest"), ("diff", "latest")):
        run = machine.restore(*words)
        assert run.code == 1
        assert "No restore point could be used. latest/: " in run.err
