"""The kernel's table of mounts, whatever the places are called."""

import os
from pathlib import Path

import pytest

from openclaw_agent.fs.mounts import mounts_below
from tests.support.mounts import Mounts, needs_mounts

NAMES = (
    b"plain",
    b"with space",
    b"tab\there",
    b"new\nline",
    b"return\rhere",
    b"feed\x0chere",
    b"back\\slash",
    b"\\012",
    b"\xff\x85",
)


@needs_mounts
@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_mount_is_told_by_its_own_name_whatever_that_is(name: bytes, tmp_path: Path) -> None:
    mounts, tree = Mounts(), tmp_path / "tree"
    tree.mkdir()
    try:
        mounts.mount("tmpfs", tmp_path, tree / os.fsdecode(name))
        assert mounts_below(tree) == (os.fsdecode(name),)
    finally:
        mounts.undo()
