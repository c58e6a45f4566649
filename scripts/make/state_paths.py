"""Refuse calls that go by a path in the rooms that touch the state: the gateway may turn a path elsewhere meanwhile.

Root works below the state folder by handle (`openclaw_agent/fs/confined.py`), where no symlink and no mount is
followed. What a room does by a path outside of the state stands in `BY_PATH`, with its reason; a row that nothing needs
is refused too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

AGENT = Path(__file__).resolve().parents[1] / "openclaw_agent"
ROOMS = ("backup", "boot", "capture", "restore", "sqlite", "state_dir")

# What a call by path is replaced by.
_LOOK = "ConfinedDir.is_there, is_folder or status, ConfinedPath.lstat"
_READ = "open_nofollow of a ConfinedPath"
_WRITE = "ConfinedDir.create, or os.open with O_EXCL and dir_fd="
INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(("chmod", "lchmod"), "os.fchmod of a handle"),
    **dict.fromkeys(("chown", "lchown"), "os.fchown of a handle"),
    **dict.fromkeys(
        ("exists", "is_dir", "is_file", "is_symlink", "is_mount", "lexists", "lstat", "stat", "access"), _LOOK
    ),
    **dict.fromkeys(("isdir", "isfile", "islink", "samefile", "resolve", "realpath", "readlink"), _LOOK),
    **dict.fromkeys(("open", "read_bytes", "read_text"), _READ),
    **dict.fromkeys(("write_bytes", "write_text", "touch"), _WRITE),
    **dict.fromkeys(("mkdir", "makedirs"), "ConfinedDir.make_folders, or os.mkdir with dir_fd="),
    **dict.fromkeys(("rename", "renames"), "os.rename with src_dir_fd= and dst_dir_fd="),
    **dict.fromkeys(("symlink", "symlink_to", "link", "hardlink_to"), "os.symlink or os.link with dir_fd="),
    **dict.fromkeys(("unlink", "remove", "rmdir", "removedirs", "rmtree"), "remove_beside (fs/removal.py)"),
    **dict.fromkeys(
        ("iterdir", "glob", "rglob", "walk", "scandir", "listdir"), "ConfinedDir.names, or state_dir/walk.py"
    ),
    **dict.fromkeys(("utime", "truncate", "copyfile", "copy", "copy2", "copytree", "move"), "the same on a handle"),
}
# Methods of these names belong to more than paths (a list's `remove`): they count with these owners alone.
OF_MODULES = frozenset({"os", "shutil", "os.path"})
ONLY_OF_MODULES = frozenset({"access", "remove", "copy", "walk", "link", "symlink", "move", "truncate", "utime"})
HANDLE_WORDS = frozenset({"dir_fd", "src_dir_fd", "dst_dir_fd"})

THE_STATE_FOLDER = "the state folder itself, whose parent is root's"
OUR_FOLDERS = "folders that the agent has made for itself, and the state folder itself"
A_CLONE = "clones in the agent's own folder"
A_CONFINED_PATH = "clones in the agent's own folder, and ConfinedPath.lstat"
# The calls that a module makes by path, and why the gateway can turn none of them elsewhere.
BY_PATH: Mapping[str, tuple[frozenset[str], str]] = {
    module: (frozenset(calls.split()), reason)
    for module, calls, reason in (
        ("backup/damage.py", "exists stat", A_CLONE),
        ("backup/make_whole.py", "open", "a manifest in a temporary folder"),
        ("backup/run.py", "open", "a manifest in the agent's own folder"),
        ("boot/local_changes.py", "is_dir", THE_STATE_FOLDER),
        ("boot/quarantine.py", "read_bytes", "a record in the agent's own folder"),
        ("capture/capture.py", "lstat open stat", A_CONFINED_PATH),
        ("capture/databases.py", "exists open", A_CLONE),
        ("restore/content.py", "open", "a new file (O_EXCL) of what is built, by the handle of its folder"),
        ("restore/diff.py", "is_dir open", "clones in a temporary folder, and the state folder itself"),
        ("restore/incoming.py", "is_dir", THE_STATE_FOLDER),
        ("restore/metadata.py", "utime", "an open file"),
        ("restore/plain_copy.py", "is_dir stat", THE_STATE_FOLDER),
        ("restore/staying.py", "is_dir", THE_STATE_FOLDER),
        (
            "restore/tree.py",
            "copyfile link mkdir symlink_to",
            "below the handle of the folder that is built, root's alone",
        ),
        ("sqlite/confined_check.py", "access", "the agent's own folder"),
        ("sqlite/files.py", "exists lstat stat", A_CONFINED_PATH),
        ("sqlite/online_backup.py", "lstat", A_CONFINED_PATH),
        ("sqlite/super_journal.py", "lstat stat truncate", A_CONFINED_PATH),
        ("state_dir/content.py", "is_dir", THE_STATE_FOLDER),
        (
            "state_dir/first_state.py",
            "exists mkdir read_bytes",
            "the state folder itself, and the release's configuration",
        ),
        ("state_dir/parents.py", "open", THE_STATE_FOLDER),
        ("state_dir/put_aside.py", "is_dir is_symlink listdir lstat", OUR_FOLDERS),
        ("state_dir/staging.py", "is_dir is_symlink lexists mkdir rename stat utime", OUR_FOLDERS),
        ("state_dir/swap.py", "is_dir lexists listdir lstat rename utime", OUR_FOLDERS + "; open folders"),
        ("state_dir/walk.py", "exists is_dir scandir stat", "the state folder itself; an open folder and its entries"),
    )
}


def calls_by_path(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of each call that goes by a path."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _name_by_path(node)):
            yield node.lineno, name


def _name_by_path(call: ast.Call) -> str:
    """The name of a call that goes by a path, "" for any other."""
    if isinstance(call.func, ast.Name):
        return "open" if call.func.id == "open" else ""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in INSTEAD:
        return ""
    name, owner = call.func.attr, ast.unparse(call.func.value)
    if name in ONLY_OF_MODULES and owner not in OF_MODULES:
        return ""
    if {word.arg for word in call.keywords} & HANDLE_WORDS:
        return ""
    # ConfinedDir.open and ConfinedPath.open take flags of the kernel, a path's a mode in letters.
    if name == "open" and owner not in OF_MODULES and call.args and not isinstance(call.args[0], ast.Constant):
        return ""
    return name


def findings(agent: Path = AGENT, allowed: Mapping[str, tuple[frozenset[str], str]] = BY_PATH) -> list[str]:
    """Return a sentence for each call by path that no row allows, and for each row that nothing needs."""
    found, used = [], set()
    for module in sorted(path for room in ROOMS for path in (agent / room).glob("*.py")):
        where = str(module.relative_to(agent))
        calls, _ = allowed.get(where, (frozenset(), ""))
        for line, name in calls_by_path(ast.parse(module.read_text(encoding="utf-8"))):
            if name in calls:
                used.add((where, name))
                continue
            found.append(
                f"scripts/openclaw_agent/{where}:{line}: {name}() goes by a path, which the gateway may turn elsewhere "
                f"meanwhile; use {INSTEAD[name]}, or say in scripts/make/state_paths.py why it is no path of the state."
            )
    unneeded = [
        (where, name) for where, (calls, _) in allowed.items() for name in sorted(calls) if (where, name) not in used
    ]
    return found + [
        f"scripts/make/state_paths.py: {where} makes no {name}() any more; take it out." for where, name in unneeded
    ]


def main() -> int:
    """Print the findings; the exit code is 1 where there are any."""
    told = findings()
    print("\n".join(told) or f"{len(BY_PATH)} modules of {', '.join(ROOMS)} go by paths, none of the state's.")
    return int(bool(told))


if __name__ == "__main__":
    sys.exit(main())
