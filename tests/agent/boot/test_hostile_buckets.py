"""Whatever a stranger has done to a bucket: a boot takes the newest whole restore point, or leaves all as it is."""

import json
import os
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.moto.server import EmbeddedAws
from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.snapshot.manifest import Entry
from tests.support.entries import file, folder, manifest, symlink
from tests.support.hostile_documents import JUNK, assemble
from tests.support.simulated_instance import FreshBucket, contents

EXAMPLES = int(os.environ.get("OPENCLAW_HOSTILE_BUCKETS", "8"))
NAMES = ("2026-03-01-00-00", "2026-03-02-00-00", "2026-03-03-00-00", "2026-03-04-00-00")
WHOLE = "whole"
Bodies = dict[str, bytes]
Spoiled = tuple[bytes, Bodies]


def bodies_of(name: str) -> Bodies:
    return {"openclaw.json": f"config of {name}".encode(), "workspace/notes.md": f"notes of {name}".encode() * 100}


def entries_of(name: str) -> list[Entry]:
    found = bodies_of(name)
    config, notes = (file(path, body) for path, body in found.items())
    return [folder(), symlink("link", "openclaw.json"), config, folder("workspace"), notes]


def text_of(name: str, entries: list[Entry], quarantined: str = "") -> bytes:
    return b"".join(encode_manifest(manifest(entries, name, quarantined=quarantined)))


def with_field(name: str, path: str, field: str, value: object) -> bytes:
    lines = text_of(name, entries_of(name)).decode().splitlines()
    rows = [json.loads(line.removesuffix(",")) for line in lines[1:-1]]
    last = json.loads("{" + lines[-1].removeprefix("],"))
    del last["sha256"]
    rows = [row | {field: value} if row["path"] == path else row for row in rows]
    header = json.loads(lines[0].removesuffix(',"entries":[') + "}")
    return assemble(header, rows, last, lambda part: json.dumps(part, separators=(",", ":")))


def spoiled_config(name: str, body: bytes | None) -> Bodies:
    found = bodies_of(name)
    if body is None:
        del found["openclaw.json"]
    else:
        found["openclaw.json"] = body
    return found


# How a restore point was spoiled: its manifest's text, and its objects.
SPOILED: dict[str, Callable[[str], Spoiled]] = {
    "torn": lambda name: (text_of(name, entries_of(name))[:-20], bodies_of(name)),
    "no manifest": lambda name: (b"<html>", bodies_of(name)),
    "no files": lambda name: (text_of(name, [folder()]), {}),
    "quarantined": lambda name: (text_of(name, entries_of(name), "by a stranger"), bodies_of(name)),
    "an id of 2^40": lambda name: (with_field(name, "openclaw.json", "uid", 2**40), bodies_of(name)),
    "a path outside": lambda name: (with_field(name, "openclaw.json", "path", "../x"), bodies_of(name)),
    "half a pair": lambda name: (with_field(name, "link", "target", "\ud800"), bodies_of(name)),
    "a huge size": lambda name: (with_field(name, "openclaw.json", "size", 2**60), bodies_of(name)),
    "a small size": lambda name: (with_field(name, "openclaw.json", "size", 1), bodies_of(name)),
    "another body": lambda name: (text_of(name, entries_of(name)), spoiled_config(name, b"rot")),
    "a lost object": lambda name: (text_of(name, entries_of(name)), spoiled_config(name, None)),
}
points = st.sampled_from([WHOLE, *SPOILED, None])
strange = st.tuples(
    st.sampled_from(["kind", "mode", "mtime_ns", "size", "sha256", "path", "uid"]), st.sampled_from(JUNK)
)


def put(world: FreshBucket, place: str, name: str, how: str) -> None:
    spoiled = (text_of(name, entries_of(name)), bodies_of(name)) if how == WHOLE else SPOILED[how](name)
    for path, body in spoiled[1].items():
        world.put(f"{place}.openclaw/{path}", body)
    world.put(f"{place}manifest.json", spoiled[0])


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(snapshots=st.tuples(*(points for _ in NAMES)), latest=points, behind=st.integers(0, 2), junk=st.none() | strange)
def test_a_boot_takes_the_newest_whole_restore_point_or_leaves_all_as_it_is(
    embedded_aws: EmbeddedAws,
    tmp_path_factory: pytest.TempPathFactory,
    snapshots: tuple[str | None, ...],
    latest: str | None,
    behind: int,
    junk: tuple[str, object] | None,
) -> None:
    world = FreshBucket(embedded_aws, tmp_path_factory.mktemp("hostile"))
    of_latest = NAMES[-1 - behind]
    whole = {of_latest} if latest == WHOLE else set()
    for name, how in zip(NAMES, snapshots, strict=True):
        if how is not None:
            put(world, f"snapshots/{name}/", name, how)
            whole |= {name} if how == WHOLE else set()
        if name == of_latest and latest is not None:
            put(world, "latest/", name, latest)
    if junk is not None:
        text = with_field("2026-03-05-00-00", "openclaw.json", *junk)
        world.put("snapshots/2026-03-05-00-00/manifest.json", text)
    machine = world.machine()

    run = machine.boot()

    assert "unexpected" not in run.err
    # But for the empty folder that was there before.
    beside = {place.name.partition(".before-restore-")[0] for place in machine.disk.iterdir()}
    assert beside == {"agent", "state"}
    if whole:
        assert (run.code, run.line["result"]) == (0, "restored"), run.err
    if run.code == 0 and run.line["result"] == "restored":
        found = {path: text.encode() for path, text in contents(machine.state).items()}
        taken = next(name for name in NAMES if found == bodies_of(name) | {"link": b""} or found == bodies_of(name))
        assert taken >= max(whole, default="")
    else:
        # Nothing of ours was ever there, or nothing is started.
        assert contents(machine.state) == {}
        nothing_there = not any(snapshots) and latest is None and junk is None
        assert (run.code == 0) == nothing_there
        assert nothing_there or machine.restore("before-start").code == 3


def test_every_kind_of_spoiling_leaves_an_older_whole_restore_point_to_boot_from(world: FreshBucket) -> None:
    put(world, f"snapshots/{NAMES[0]}/", NAMES[0], WHOLE)
    for how in SPOILED:
        put(world, f"snapshots/{NAMES[1]}/", NAMES[1], how)
        if how != "quarantined":
            # Who puts a quarantined state into latest/ wants it.
            put(world, "latest/", NAMES[1], how)
        machine = world.machine()
        run = machine.boot()
        assert run.code == 0, (how, run.err)
        assert contents(machine.state)["openclaw.json"] == f"config of {NAMES[0]}", how
        world.delete(*world.keys("latest/"), *world.keys(f"snapshots/{NAMES[1]}/"))


def test_what_lies_between_a_broken_snapshot_and_an_older_latest_is_taken_first(world: FreshBucket) -> None:
    put(world, f"snapshots/{NAMES[0]}/", NAMES[0], WHOLE)
    put(world, "latest/", NAMES[0], WHOLE)
    put(world, f"snapshots/{NAMES[1]}/", NAMES[1], WHOLE)
    put(world, f"snapshots/{NAMES[2]}/", NAMES[2], "an id of 2^40")
    assert contents(world.booted().state)["openclaw.json"] == f"config of {NAMES[1]}"
