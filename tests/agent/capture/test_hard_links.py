"""A file of several names is stored once, and is one file again wherever it comes back."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from openclaw_agent.agent_dir.records import Records
from openclaw_agent.snapshot.manifest import NO_ATTRIBUTES
from tests.support.simulated_instance import FreshBucket, SimulatedInstance, picture

BODY = "one file\n"


@pytest.fixture
def linked(machine: SimulatedInstance) -> SimulatedInstance:
    """Three names of one file, in two folders, and another file beside them."""
    first = machine.write("b/first", BODY)
    (machine.state / "a").mkdir()
    os.link(first, machine.state / "a/second")
    os.link(first, machine.state / "b/third")
    machine.write("other", BODY)
    assert machine.backup().code == 0
    return machine


def stored(world: FreshBucket, place: str = "latest") -> list[str]:
    prefix = f"{place}/.openclaw/" if place == "latest" else f"snapshots/{place}/.openclaw/"
    return sorted(key.removeprefix(prefix) for key in world.keys(prefix))


def names(folder: Path) -> list[set[str]]:
    """The groups of paths that are one file."""
    found: dict[int, set[str]] = {}
    for place in folder.rglob("*"):
        if place.is_file() and not place.is_symlink():
            found.setdefault(place.stat().st_ino, set()).add(str(place.relative_to(folder)))
    return sorted(found.values(), key=min)


def test_the_content_is_stored_under_the_first_name_alone(world: FreshBucket, linked: SimulatedInstance) -> None:
    assert stored(world) == stored(world, world.snapshots()[-1]) == ["a/second", "other"]
    totals = world.manifest("latest").totals()
    assert (totals.files, totals.bytes) == (4, 2 * len(BODY))
    there = picture(linked.state)
    assert picture(world.booted().state) == there
    assert linked.restore("verify").code == 0
    assert "No difference" in linked.restore("diff", "latest").out


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["b/third"], [{"b/third"}]),
        (["b"], [{"b/first", "b/third"}]),
        (["a", "b/third"], [{"a/second", "b/third"}]),
        (["other", "b/first"], [{"b/first"}, {"other"}]),
    ],
)
def test_a_restore_of_some_names_links_those_that_come_back(
    linked: SimulatedInstance, tmp_path: Path, paths: list[str], expected: list[set[str]]
) -> None:
    target = tmp_path / "target"
    run = linked.restore("run", "--to", str(target), *(word for path in paths for word in ("--path", path)))
    assert run.code == 0, run.err
    assert names(target) == expected
    assert {place.read_text() for place in target.rglob("*") if place.is_file()} == {BODY}


@pytest.mark.parametrize(
    ("gone", "left", "objects"),
    [
        ("a/second", [{"b/first", "b/third"}, {"other"}], ["b/first", "other"]),
        ("b/first", [{"a/second", "b/third"}, {"other"}], ["a/second", "other"]),
        ("other", [{"a/second", "b/first", "b/third"}], ["a/second"]),
    ],
)
def test_a_name_that_goes_takes_no_content_with_it_and_sends_none_again(
    world: FreshBucket, linked: SimulatedInstance, gone: str, left: list[set[str]], objects: list[str]
) -> None:
    (linked.state / gone).unlink()
    run = linked.backup()
    assert (run.code, run.line["result"], run.line["uploaded_files"]) == (0, "done", 0)
    assert stored(world) == stored(world, world.snapshots()[-1]) == objects
    assert names(world.booted().state) == left


def test_a_first_name_that_a_rule_leaves_out_is_not_needed(world: FreshBucket, linked: SimulatedInstance) -> None:
    (linked.disk / "instance.json").write_text('{"excludes": ["a/"]}')
    linked.environment["OPENCLAW_FREEZER"] = "none"
    run = linked.backup()
    assert run.code == 0, run.err
    assert stored(world) == ["b/first", "other"]
    assert names(world.booted().state) == [{"b/first", "b/third"}, {"other"}]


def test_of_a_file_with_names_elsewhere_only_those_in_the_state_count(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    os.link(machine.write("mine", BODY), machine.disk / "elsewhere")
    assert machine.backup().code == 0
    entry = world.manifest("latest").by_path()["mine"]
    assert (entry.hard_link_to, entry.attributes) == ("", NO_ATTRIBUTES)
    assert (world.booted().state / "mine").stat().st_nlink == 1


@pytest.mark.parametrize("split", [True, False])
def test_names_that_become_one_file_or_two_are_a_change(
    world: FreshBucket, linked: SimulatedInstance, split: bool
) -> None:
    place = linked.state / ("a/second" if split else "other")
    status = place.stat()
    place.unlink()
    if split:
        place.write_text(BODY)
        os.utime(place, ns=(status.st_mtime_ns, status.st_mtime_ns))
    else:
        os.link(linked.state / "b/first", place)
    assert "hard links" in linked.restore("diff", "latest").out
    assert linked.backup().line["result"] == "done"
    assert names(world.booted().state) == names(linked.state)


@pytest.mark.parametrize("removed", [True, False])
def test_a_first_name_that_another_file_takes_before_its_clone_leaves_the_content_to_the_others(
    world: FreshBucket, linked: SimulatedInstance, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    """An editor replaces it by a rename, between the look at the tree and the clone."""
    os.utime(linked.state / "b/first", ns=(0, 5))
    listxattr = os.listxattr

    def replaces(place: str | int, **options: bool) -> list[str]:
        if str(place).endswith("/second"):
            (linked.state / "a/second").unlink()
            if not removed:
                (linked.state / "a/second").write_text("another file now\n")
        return listxattr(place, **options)

    monkeypatch.setattr(os, "listxattr", replaces)
    assert linked.backup().code == 0
    monkeypatch.undo()
    there = world.booted().state
    assert {"b/first", "b/third"} in names(there)
    assert (there / "b/third").read_text() == BODY
    assert removed is not (there / "a/second").exists()
    assert removed or (there / "a/second").read_text() == "another file now\n"


def test_a_file_system_without_links_gets_copies_and_that_is_told(
    linked: SimulatedInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_paths: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    run = linked.restore("run", "--to", str(tmp_path / "target"))
    assert run.code == 0, run.err
    assert "Warning: the hard link of 2 paths ('b/first' among them) could not be restored" in run.err
    assert [len(group) for group in names(tmp_path / "target")] == [1, 1, 1, 1]


def test_the_first_backup_after_an_upgrade_learns_of_links_and_attributes_without_sending_files(
    world: FreshBucket, linked: SimulatedInstance
) -> None:
    os.setxattr(linked.state / "other", "user.origin", b"x")
    base = Records(linked.agent).base()
    assert base is not None
    unknown = tuple(replace(entry, attributes=None) for entry in base.entries)
    Records(linked.agent).remember_base(replace(base, entries=unknown))
    run = linked.backup()
    assert (run.code, run.line["result"], run.line["uploaded_files"]) == (0, "done", 0), run.err
    assert linked.backup().line["result"] == "unchanged"
    assert os.getxattr(world.booted().state / "other", "user.origin") == b"x"


def test_attributes_that_nobody_looked_for_are_no_change_where_there_are_none(linked: SimulatedInstance) -> None:
    base = Records(linked.agent).base()
    assert base is not None
    Records(linked.agent).remember_base(
        replace(base, entries=tuple(replace(row, attributes=None) for row in base.entries))
    )
    assert "No difference" in linked.restore("diff", "latest").out
    assert linked.backup().line["result"] == "unchanged"
    learned = Records(linked.agent).base()
    assert learned is not None
    assert {entry.attributes for entry in learned.entries} == {NO_ATTRIBUTES}
