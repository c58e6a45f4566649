"""The lint rule that keeps path calls out of the rooms that touch the state: it names the line, and what to use."""

from pathlib import Path

import pytest

from make.state_paths import findings

BY_PATH = [
    ("place.chmod(0o600)", "os.fchmod of a handle"),
    ("os.chown(place, 1000, 1000)", "os.fchown of a handle"),
    ("os.chown(place, 1, 1, follow_symlinks=False)", "os.fchown of a handle"),
    ("shutil.rmtree(place)", "remove_beside"),
    ("shutil.copyfile(place, other)", "the same on a handle"),
    ("place.is_file()", "ConfinedDir.is_there"),
    ("os.path.lexists(place)", "ConfinedDir.is_there"),
    ("open(place)", "open_nofollow"),
    ("place.open('rb')", "open_nofollow"),
    ("os.open(place, os.O_RDONLY | os.O_NOFOLLOW)", "open_nofollow"),
    ("place.read_bytes()", "open_nofollow"),
    ("place.write_text('x')", "ConfinedDir.create"),
    ("place.mkdir(parents=True)", "ConfinedDir.make_folders"),
    ("place.symlink_to(other)", "dir_fd="),
    ("os.rename(place, other)", "src_dir_fd="),
    ("place.unlink()", "remove_beside"),
    ("list(place.rglob('*'))", "ConfinedDir.names"),
]
BY_HANDLE = [
    "os.fchmod(handle, 0o600)",
    "os.fchown(handle, 1000, 1000)",
    "os.open(name, os.O_RDONLY, dir_fd=handle)",
    "top.open(path, os.O_RDONLY)",
    "place.open(flags)",
    "os.rename(name, name, src_dir_fd=one, dst_dir_fd=other)",
    "os.unlink(name, dir_fd=handle)",
    "top.is_folder(path)",
    "rows.remove(row)",
]


def agent_with(line: str, folder: Path) -> Path:
    (folder / "restore").mkdir()
    (folder / "restore/new.py").write_text(f"import os\n\ndef work(place, other):\n    {line}\n")
    return folder


@pytest.mark.parametrize(("line", "instead"), BY_PATH)
def test_a_call_by_path_is_told_with_its_line_and_what_to_use(tmp_path: Path, line: str, instead: str) -> None:
    (told,) = findings(agent_with(line, tmp_path), {})
    assert told.startswith("scripts/openclaw_agent/restore/new.py:4: ")
    assert instead in told


@pytest.mark.parametrize("line", BY_HANDLE)
def test_a_call_by_handle_is_none_of_its_business(tmp_path: Path, line: str) -> None:
    assert findings(agent_with(line, tmp_path), {}) == []


def test_a_row_of_the_table_allows_one_call_of_one_module_and_is_refused_once_nothing_needs_it(tmp_path: Path) -> None:
    row = {"restore/new.py": (frozenset({"is_dir"}), "a reason")}
    agent = agent_with("place.is_dir() or place.exists()", tmp_path)
    (told,) = findings(agent, row)
    assert "exists() goes by a path" in told
    (agent / "restore/new.py").write_text("")
    (told,) = findings(agent, row)
    assert "restore/new.py makes no is_dir() any more" in told


def test_the_agent_itself_keeps_the_rule() -> None:
    assert findings() == []
