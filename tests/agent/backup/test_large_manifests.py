"""Manifests beyond one part of a multipart upload: written in one request, and under a condition when it matters."""

import os
from pathlib import Path

import pytest

from lab.faults.plan import Fault, Operation, Rule
from lab.faults.proxy import FaultProxy
from openclaw_agent.errors import PreconditionFailed
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.bulk import PART_BYTES
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, SimulatedInstance, let_clock_tick, picture

SIZE = 20 * 1024 * 1024
# Each character of such a target takes six bytes of JSON.
LONG_TARGET = "\x01" * 4000


@pytest.fixture
def store(world: FreshBucket) -> Bucket:
    return world.store()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    place = tmp_path / "large"
    place.write_bytes(os.urandom(SIZE))
    return place


def test_a_condition_that_holds_lets_a_large_file_be_written(world: FreshBucket, store: Bucket, large: Path) -> None:
    first = store.put_file("large", large, if_match="")
    assert first == store.etag("large")
    large.write_bytes(os.urandom(SIZE))
    second = store.put_file("large", large, if_match=first)
    assert second == store.etag("large") != first
    assert world.get("large") == large.read_bytes()
    assert store.traffic.requests["PUT"] == 2


@pytest.mark.parametrize(
    "condition", ["", '"0123456789abcdef0123456789abcdef"'], ids=["must not exist", "another ETag"]
)
def test_a_condition_that_does_not_hold_keeps_a_large_file_from_being_written(
    world: FreshBucket, store: Bucket, large: Path, condition: str
) -> None:
    world.put("large", b"somebody else's")
    with pytest.raises(PreconditionFailed):
        store.put_file("large", large, if_match=condition)
    assert world.get("large") == b"somebody else's"


def test_a_large_file_that_had_to_be_there_and_is_gone_is_not_written(
    world: FreshBucket, store: Bucket, large: Path
) -> None:
    with pytest.raises(PreconditionFailed, match="deleted"):
        store.put_file("large", large, if_match='"0123456789abcdef0123456789abcdef"')
    assert world.keys() == []


@pytest.fixture
def many_links(world: FreshBucket, proxy: FaultProxy) -> SimulatedInstance:
    """A machine behind the proxy whose manifest has more than 16 MiB, though it has few objects."""
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    machine = world.booted()
    machine.write("note")
    for number in range(800):
        (machine.state / f"link-{number:04d}").symlink_to(LONG_TARGET)
    run = machine.backup()
    assert run.code == 0, run.err
    assert len(world.get(LATEST_MANIFEST)) > PART_BYTES
    return machine


def test_a_cycle_with_a_large_manifest_asks_no_more_than_any_other(
    many_links: SimulatedInstance, proxy: FaultProxy
) -> None:
    proxy.begin()
    many_links.write("note", "changed")
    run = many_links.backup()
    assert run.code == 0, run.err
    assert proxy.counts()["MULTIPART"] == 0
    assert run.total_requests == sum(proxy.counts().values()) <= 1 + 1 + 6


def test_a_large_manifest_whose_answer_was_lost_is_known_as_ones_own(
    world: FreshBucket, many_links: SimulatedInstance, proxy: FaultProxy
) -> None:
    many_links.write("note", "changed")
    proxy.begin(Rule(Fault.RESET_AFTER, frozenset({Operation.PUT}), key="^latest/manifest.json$", times=1))
    run = many_links.backup()
    assert run.code == 0, run.err
    assert run.line["result"] == "done"
    assert world.manifest("latest").snapshot == run.line["snapshot"]
    let_clock_tick()
    assert many_links.backup().line["result"] == "unchanged"


def test_a_large_manifest_of_somebody_else_is_left_to_them_and_comes_back_whole(
    world: FreshBucket, many_links: SimulatedInstance, proxy: FaultProxy
) -> None:
    world.put(LATEST_MANIFEST, world.get(LATEST_MANIFEST) + b" ")
    many_links.write("note", "changed")
    refused = many_links.backup()
    assert refused.code == 3
    assert "latest/ was modified by someone else" in refused.err
    assert many_links.backup("--overwrite-latest").code == 0
    second = world.booted("second")
    assert picture(second.state) == picture(many_links.state)
