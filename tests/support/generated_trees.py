"""Generated state folders: every kind of name, node and metadata that a disk can hold, and edits to them."""

import contextlib
import os
import shutil
import socket
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hypothesis import strategies as st

from openclaw_agent.fs.attributes import set_flags
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from tests.support.mounts import Mounts

AS_ROOT = os.geteuid() == 0
LONG_NAMES = 8 * [b"n" * 250]
NAME_SAMPLES = [
    b"with space",
    b" ",
    b"'quoted' \"twice\"",
    b"new\nline",
    b"-rf",
    b"--help",
    "\N{LOBSTER}".encode(),
    "e\u0301".encode(),
    b"\xff\xfe not utf-8 \x80",
    b"x" * 255,
    b"...",
    b"~",
    b"$HOME",
    b"a%2Fb%41",
    b"plus+and&hash#?",
    b"back\\slash",
    b"*[a]?",
    b"<xml>]]>&amp;",
    b"\x01\x7f\t\r",
    b"manifest.json",
    b"latest",
    b".openclaw",
    b"notes.md",
    b"a",
    b"b",
]

_names = st.one_of(
    st.sampled_from(NAME_SAMPLES),
    st.binary(min_size=1, max_size=255).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_")),
).filter(lambda name: name not in (b".", b".."))
_folders = st.lists(_names, max_size=3).map(tuple) | st.just(tuple(LONG_NAMES[:5]))
SECOND = 10**9
_times = st.integers(0, 2_000_000_000_999_999_999) | st.sampled_from(
    # The first and last seconds of int32, of ext4 and of nanoseconds in 64 bits, and what only some file systems keep.
    [1, -1_500_000_000, 1_700_000_000_123_456_789]
    + [number * SECOND + 999_999_999 for number in (-(2**31), -(2**33), 2**31, 2**33, 9_223_372_037, 2**34 - 1, 2**40)]
)
_modes = st.sampled_from([0o600, 0o644, 0o755, 0o400, 0o555, 0o500, 0o4755, 0o2755, 0o1777, 0o7777])
_root_modes = _modes | st.just(0o000)
_owners = st.tuples(*2 * [st.sampled_from([0, 1000, 65534, 2**31, 2**32 - 2])])
NOBODY_NAMED = 0xFFFFFFFF


def access_list(group: int, named: int, right: int) -> bytes:
    """A list with one user by its id; the mask is what group and user have together."""
    rows = [(1, 6, NOBODY_NAMED), (2, right, named), (4, group, NOBODY_NAMED), (16, group | right, NOBODY_NAMED)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in [*rows, (32, 0, NOBODY_NAMED)])


_lists = st.builds(access_list, st.integers(0, 7), st.sampled_from([0, 1001, 2**32 - 2]), st.integers(0, 7))
_user_xattrs = st.dictionaries(
    st.sampled_from(["user.origin", "user.\udcff", "user." + "n" * 200, "user.with space"]), st.binary(max_size=300)
)
_xattrs = st.builds(
    lambda users, lists: {**users, **lists},
    _user_xattrs,
    st.dictionaries(st.sampled_from(["system.posix_acl_access", "system.posix_acl_default"]), _lists),
)
_bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=3000),
    st.sampled_from([b"a" * 70_000, b"SQLite format 3", b"\0" * 300_000]),
)
_targets = st.sampled_from(
    [b"a", b"../..", b"/etc/passwd", b"no/such/place", b".", b"with space", b"\xff", b"./a//b/.", b"/" + b"d/" * 1000]
)


@dataclass(frozen=True, slots=True)
class Node:
    """One thing to create: where, of which kind, with which body (target of a symlink) and metadata."""

    parts: tuple[bytes, ...]
    kind: str
    body: bytes
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    hole: int
    xattrs: Mapping[str, bytes]
    flags: str


KINDS = [*4 * ["file"], *2 * ["folder"], "symlink", *2 * ["hard link"], "sparse", "fifo", "socket"]
# A mount is a folder where nobody may mount, or is asked to (`plant`).
_kinds, _root_kinds = st.sampled_from(KINDS), st.sampled_from([*KINDS, *2 * ["mount"]])


def nodes_of(*, by_root: bool) -> st.SearchStrategy[Node]:
    """Nodes that root, or that an ordinary user can make, but for privileges that no restore gives."""
    return st.builds(
        Node,
        st.tuples(_folders, _names).map(lambda pair: (*pair[0], pair[1])).filter(lambda parts: _is_kept(parts)),
        _root_kinds if by_root else _kinds,
        st.one_of(_bodies, _targets),
        _root_modes if by_root else _modes,
        _owners if by_root else st.just((-1, -1)),
        _times,
        st.integers(0, 3_000_000),
        st.one_of(st.just({}), _xattrs),
        st.sampled_from(["", "", "", "i", "a", "ia"]) if by_root else st.just(""),
    ).map(_without_privileges)


def _without_privileges(node: Node) -> Node:
    return replace(node, mode=node.mode & ~_refused(*node.owner))


def _refused(uid: int, gid: int) -> int:
    return (0 if uid == GATEWAY_UID else stat.S_ISUID) | (0 if gid == GATEWAY_UID else stat.S_ISGID)


nodes = nodes_of(by_root=AS_ROOT)
trees = st.lists(nodes, max_size=12)


@dataclass(frozen=True, slots=True)
class Edit:
    """One change: what, to the how-manieth path of the tree."""

    what: str
    choice: int
    node: Node


edits = st.lists(
    st.builds(
        Edit,
        st.sampled_from(
            [
                "same size and mtime",
                "append",
                "truncate",
                "remove",
                "chmod",
                "touch",
                "replace",
                "add",
                "move",
                "attributes",
            ]
        ),
        st.integers(0, 1000),
        nodes,
    ),
    max_size=6,
)


def plant(root: Path, node: Node, mounts: Mounts | None = None) -> None:
    """Create a node below `root`; where its name is taken, or the disk refuses, nothing happens."""
    place = os.fsencode(root)
    with contextlib.suppress(OSError):
        for part in node.parts[:-1]:
            place += b"/" + part
            if not os.path.lexists(place):
                os.mkdir(place, 0o700)  # noqa: PTH102 - a name of any bytes
        place += b"/" + node.parts[-1]
        if not os.path.lexists(place):
            _create(root, place, node)
            if node.kind == "mount" and mounts is not None:
                mounts.mount("tmpfs", Path(), Path(os.fsdecode(place)))


def _create(root: Path, place: bytes, node: Node) -> None:
    body = node.body
    match node.kind:
        case "folder" | "mount":
            os.mkdir(place)  # noqa: PTH102
        case "symlink":
            os.symlink(body.replace(b"\0", b"_")[:4000] or b"x", place)  # noqa: PTH211
        case "hard link":
            kinds = (stat.S_IFREG, stat.S_IFLNK)
            firsts = [found for found in _paths(root) if stat.S_IFMT(os.lstat(found).st_mode) in kinds]
            if firsts:
                os.link(firsts[node.hole % len(firsts)], place, follow_symlinks=False)
            return
        case "fifo":
            os.mkfifo(place)
            return
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(place)
            return
        case _:
            with open(place, "wb") as out:  # noqa: PTH123
                if node.kind == "sparse":
                    out.seek(node.hole)
                out.write(body)
    if os.geteuid() == 0:
        os.chown(place, *node.owner, follow_symlinks=False)
    if node.kind != "symlink":
        for name, value in node.xattrs.items():
            with contextlib.suppress(OSError):
                os.setxattr(place, name, value)
        # A list sets the group's bits, and the mode the list's mask.
        os.chmod(place, node.mode)  # noqa: PTH101
    os.utime(place, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)
    if node.flags and node.kind in ("file", "sparse"):
        handle = os.open(place, os.O_RDONLY)
        try:
            set_flags(handle, node.flags)
        finally:
            os.close(handle)


def apply(root: Path, edit: Edit, mounts: Mounts | None = None) -> None:
    """Make one change; what the disk refuses does not happen."""
    found = _paths(root)
    if edit.what == "add" or not found:
        plant(root, edit.node, mounts)
        return
    place = found[edit.choice % len(found)]
    status = os.lstat(place)
    regular = stat.S_ISREG(status.st_mode)
    with contextlib.suppress(OSError):
        match edit.what:
            case "same size and mtime" if regular:
                with open(place, "r+b") as out:  # noqa: PTH123
                    out.write(bytes(byte ^ 1 for byte in out.read(100)) if not out.seek(0) else b"")
                os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))
            case "append" if regular:
                with open(place, "ab") as out:  # noqa: PTH123
                    out.write(b"more")
            case "truncate" if regular:
                os.truncate(place, status.st_size // 2)
            case "chmod" if not stat.S_ISLNK(status.st_mode):
                os.chmod(place, edit.node.mode & ~_refused(status.st_uid, status.st_gid))  # noqa: PTH101
            case "attributes" if not stat.S_ISLNK(status.st_mode):
                for name in os.listxattr(place):
                    os.removexattr(place, name)
                for name, value in edit.node.xattrs.items():
                    os.setxattr(place, name, value)
            case "touch":
                os.utime(place, ns=(0, edit.node.mtime_ns), follow_symlinks=False)
            case "move":
                os.rename(place, os.fsencode(root) + b"/moved")  # noqa: PTH104
            case "remove" | "replace":
                if stat.S_ISDIR(status.st_mode):
                    shutil.rmtree(place)
                else:
                    os.unlink(place)  # noqa: PTH108
                if edit.what == "replace":
                    _create(root, place, edit.node)


def _paths(root: Path) -> list[bytes]:
    top = os.fsencode(root)
    return sorted(place + b"/" + name for place, folders, files in os.walk(top) for name in (*folders, *files))


def _is_kept(parts: tuple[bytes, ...]) -> bool:
    exclusions = Exclusions()
    names = [os.fsdecode(part) for part in parts]
    return all(
        exclusions.reason_for("/".join(names[:depth]), is_folder=folder) is None
        for depth in range(1, len(names) + 1)
        for folder in (True, False)
    )
