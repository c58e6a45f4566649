"""However much is damaged, left out or a gap: a listing reads the header, and a restore the whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.backup.damage import describe_damage
from openclaw_agent.backup.gaps import recorded
from openclaw_agent.backup.skipped import LeftOnDisk
from openclaw_agent.capture.capture import Damage
from openclaw_agent.snapshot.codec import decode_header, decode_manifest, encode_manifest
from openclaw_agent.snapshot.manifest import Gap, Manifest, Omission
from openclaw_agent.snapshot.row_limits import MOST_BYTES, MOST_ROWS, first_rows
from tests.support.entries import file, folder, manifest

# What `get_first_line` reads of a manifest.
FIRST_LINE_BYTES = 1024 * 1024
DEEP = {
    "plain": "/".join(["d" * 200] * 18),
    "of bytes that are escaped": "/".join(["\udcff" * 200] * 18),
    "of control characters": "/".join(["\x01" * 200] * 18),
}


def of_many(place: str, count: int = 10_000) -> Manifest:
    parts = place.split("/")
    folders = [folder("/".join(parts[:depth])) for depth in range(1, len(parts) + 1)]
    files = [replace(file(f"{place}/{number}", b"x"), database=True, damaged=True) for number in range(count)]
    damaged = [Damage(entry.path, "x" * 10_000, Path(), b"\1" * 32) for entry in files]
    gaps = [Gap(entry.path, "y" * 1000) for entry in files]
    omissions = tuple(Omission(entry.path, "z") for entry in files)
    left = LeftOnDisk(omissions, omissions)
    return replace(
        manifest([folder(""), *folders, *files[:100]]),
        damaged=describe_damage(damaged, None),
        gaps=recorded(gaps),
        skipped=left.named,
        excluded=left.named_excluded,
        skipped_count=count,
    )


@pytest.mark.parametrize("place", DEEP.values(), ids=DEEP)
def test_a_manifest_of_10_000_damaged_databases_in_deep_folders_is_listed_and_restored(place: str) -> None:
    made = of_many(place)
    lines = list(encode_manifest(made))
    assert len(lines[0]) < FIRST_LINE_BYTES / 2
    assert len(lines[-1]) < 64 * 1024 * 1024
    assert decode_header(lines[0]).snapshot == made.snapshot
    read = decode_manifest(b"".join(lines).splitlines(keepends=True))
    assert (read.damaged, read.gaps, read.skipped) == (made.damaged, made.gaps, made.skipped)
    assert len(made.damaged) > 300
    assert len(made.gaps) > 300


def test_rows_that_hang_on_being_named_come_first() -> None:
    many = [Gap(f"{number}", "x") for number in range(2 * MOST_ROWS)]
    named = recorded([*many, Gap("zz-accepted", "x", accepted=True), Gap("zz-missing", "x", missing=True)])
    assert len(named) == MOST_ROWS
    assert {"zz-accepted", "zz-missing"} <= {gap.path for gap in named}
    assert [gap.path for gap in named] == sorted(gap.path for gap in named)


@given(st.lists(st.text(st.characters(codec=None), max_size=50)), st.integers(0, 60), st.integers(0, 2000))
def test_as_many_rows_are_kept_as_there_is_room_for(rows: list[str], most: int, most_bytes: int) -> None:
    same: Callable[[str], str] = str
    kept = first_rows(rows, same, most=most, most_bytes=most_bytes)
    assert list(kept) == rows[: len(kept)]
    assert len(kept) <= most
    assert sum(len(row) for row in kept) <= most_bytes
    assert most_bytes < MOST_BYTES
