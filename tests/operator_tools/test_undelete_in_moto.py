"""A bucket that was wiped, overwritten or poisoned comes back as it stood, and an agent restores it."""

import json
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest

from lab.moto.server import EmbeddedAws
from operator_tools.undelete import command
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, contents

RETENTION = {
    "Rules": [
        {"ID": "x", "Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 14}},
    ]
}


@pytest.fixture
def world(embedded_aws: EmbeddedAws, tmp_path: Path) -> FreshBucket:
    world = FreshBucket(embedded_aws, tmp_path)
    world.s3.put_bucket_versioning(Bucket=world.bucket, VersioningConfiguration={"Status": "Enabled"})
    return world


@pytest.fixture
def saved(world: FreshBucket) -> SimulatedInstance:
    """A machine with two snapshots; the second is `latest/`."""
    machine = world.booted("i-a")
    machine.write("notes.md", "kept\n")
    machine.write("state/manifest.json", "a file of the state that is called so\n")
    assert machine.backup().code == 0
    machine.write("notes.md", "kept, and more\n")
    assert machine.backup().code == 0
    return machine


def next_second() -> datetime:
    """Wait for S3's clock, which tells whole seconds; return the second that has ended."""
    now = datetime.now(UTC)
    time.sleep(1.0 - now.microsecond / 1e6)
    return now.replace(microsecond=0)


def undelete(world: FreshBucket, *words: str) -> int:
    with mock.patch.dict(os.environ, {**world.environment, "AWS_REGION": world.aws.region}):
        return command.main(["--bucket", world.bucket, *words])


def wipe(world: FreshBucket) -> None:
    world.empty()


def overwrite(world: FreshBucket) -> None:
    for key in list(world.picture()):
        world.put(key, "ransom")


def poison(world: FreshBucket) -> None:
    """Snapshots that never were, files that were never there, another lease record."""
    world.put("latest/.openclaw/extensions/evil.js", "evil")
    world.put("snapshots/2026-03-04-09-00/manifest.json", "{}")
    world.put("snapshots/2026-03-04-09-00/.openclaw/evil.js", "evil")
    world.put("owner.json", json.dumps({"epoch": 999, "instance_id": "i-evil", "since": "", "released": False}))


def archive(world: FreshBucket) -> None:
    for key in world.keys("latest/"):
        world.s3.put_object(Bucket=world.bucket, Key=key, Body=b"", StorageClass="DEEP_ARCHIVE")


@pytest.mark.parametrize("attack", [wipe, overwrite, poison, archive])
def test_what_a_stolen_role_did_is_undone_and_a_new_instance_restores_it(
    world: FreshBucket, saved: SimulatedInstance, attack: object
) -> None:
    before = {key: etag for key, (etag, *_) in world.picture().items()}
    moment = next_second()
    attack(world)  # type: ignore[operator]
    assert {key: etag for key, (etag, *_) in world.picture().items()} != before

    assert undelete(world, "--at", moment.isoformat(), "--yes") == 0

    assert {key: etag for key, (etag, *_) in world.picture().items()} == before
    assert contents(world.booted("i-b").state) == contents(saved.state)


def test_without_a_moment_the_newest_whole_latest_is_found(world: FreshBucket, saved: SimulatedInstance) -> None:
    next_second()
    # Torn: a new manifest, of which one file was never sent.
    manifest = world.get("latest/manifest.json")
    world.delete("latest/.openclaw/notes.md")
    world.put("latest/manifest.json", manifest)
    next_second()
    wipe(world)

    assert undelete(world, "--yes") == 0

    assert contents(world.booted("i-b").state) == contents(saved.state)


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    world: FreshBucket, saved: SimulatedInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    moment = next_second()
    poison(world)
    before = world.picture()

    assert undelete(world, "--at", moment.isoformat(), "--dry-run") == 0

    said = capsys.readouterr().out
    assert world.picture() == before
    # The lease record comes back; the poisoned file and the two objects of the invented snapshot go.
    assert "copy forward  1 objects" in said
    assert "delete        3 objects" in said


def test_nothing_is_changed_where_nobody_says_yes(
    world: FreshBucket, saved: SimulatedInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    moment = next_second()
    wipe(world)

    assert undelete(world, "--at", moment.isoformat()) == 2

    assert world.keys() == []
    assert "Nothing was changed" in capsys.readouterr().err


def test_it_ends_the_same_however_often_it_is_run(
    world: FreshBucket, saved: SimulatedInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    moment = next_second()
    wipe(world)
    assert undelete(world, "--at", moment.isoformat(), "--yes") == 0
    before = world.picture()

    assert undelete(world, "--at", moment.isoformat(), "--yes") == 0

    assert world.picture() == before
    assert "there is nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("moment", "sentence"),
    [
        (datetime.now(UTC) + timedelta(days=1), "is in the future"),
        (datetime.now(UTC) - timedelta(days=15), "keeps what was deleted for 14 days"),
    ],
)
def test_a_moment_that_is_not_kept_is_refused(
    world: FreshBucket, moment: datetime, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    world.s3.put_bucket_lifecycle_configuration(Bucket=world.bucket, LifecycleConfiguration=RETENTION)

    assert undelete(world, "--at", moment.isoformat(), "--yes") == 2
    assert sentence in capsys.readouterr().err


def test_json_tells_the_plan_and_what_became_of_it(
    world: FreshBucket, saved: SimulatedInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    moment = next_second()
    count = len(world.keys())
    snapshots = world.snapshots()
    wipe(world)

    assert undelete(world, "--at", moment.isoformat(), "--yes", "--json") == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["applied"], told["copies"], told["deletions"], told["refused"]) == (True, count, 0, [])
    assert told["snapshots"] == snapshots
