"""Make the sample bucket that version 0.1.0 wrote, by running 0.1.0 itself; see README.md.

It runs in a checkout of commit b36575a, not in the tree that it is committed in: 0.1.0 is a version of the past, and
what it wrote must come from its own code. Run as root, so that the manifests hold more than one owner:

    python make_sample_0_1_0.py OUTPUT_FOLDER
"""

import base64
import contextlib
import hashlib
import json
import os
import shutil
import socket
import sqlite3
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

HERE = Path.cwd()
sys.path += [str(HERE), str(HERE / "scripts")]

from lab.aws.server import EmbeddedAws  # type: ignore[import-not-found]  # noqa: E402
from openclaw_agent.freezer import Freeze  # type: ignore[import-not-found]  # noqa: E402
from openclaw_agent.object_store import ObjectStore  # type: ignore[import-not-found]  # noqa: E402
from tests.moto.agent_world import World, let_clock_tick  # type: ignore[import-not-found]  # noqa: E402

from openclaw_agent import AGENT_VERSION  # noqa: E402
from openclaw_agent.errors import AgentError  # noqa: E402

COMMIT = "b36575a"
OWNER = (1000, 1000)
OTHER_OWNERS = {"workspace/notes.md": (0, 0), "workspace/shared.txt": (1000, 100), "workspace": (1000, 100)}
FIRST_MTIME_NS = 1_772_323_200_123_456_789
MTIMES_NS = {"workspace/notes.md": 1, "workspace/in the future": 2_208_988_800_000_000_001}
# A stand-in for systemd alone: the freezer itself is the real one, and so are its processes.
SYSTEMCTL = """#!/bin/sh
case "$1" in is-active) cat "$SAMPLE_UNIT_STATE"; grep -qx active "$SAMPLE_UNIT_STATE" || exit 3 ;; esac
"""


def day(number: int, hour: int = 8) -> datetime:
    return datetime(2026, 3, number, hour, 0, tzinfo=UTC)


class State:
    """The state folder of one instance, whose files get times and owners that do not hang on the hour of the run."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, body: bytes, mode: int = 0o600) -> None:
        place = self.root / path
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.write_bytes(body)
        place.chmod(mode)
        self._settle(place)

    def symlink(self, path: str, target: str) -> None:
        place = self.root / path
        place.symlink_to(target)
        self._settle(place)

    def sparse(self, path: str, size: int) -> None:
        place = self.root / path
        with place.open("wb") as out:
            out.write(b"head")
            out.seek(size - 4)
            out.write(b"tail")
        self._settle(place)

    def settle_folders(self) -> None:
        for folder, _, files in os.walk(self.root, topdown=False):
            self._settle(Path(folder))
            for name in files:
                if ".sqlite" in name:
                    os.chown(Path(folder, name), *OWNER)

    def _settle(self, place: Path) -> None:
        path = os.path.relpath(place, self.root)
        os.chown(place, *OTHER_OWNERS.get(path, OWNER), follow_symlinks=False)
        digest = hashlib.sha256(os.fsencode(path)).digest()
        mtime_ns = MTIMES_NS.get(path, FIRST_MTIME_NS + int.from_bytes(digest[:6], "big"))
        os.utime(place, ns=(mtime_ns, mtime_ns), follow_symlinks=False)


def open_database(place: Path) -> sqlite3.Connection:
    """A WAL database of small pages whose writer keeps its log, as a gateway at work does."""
    place.parent.mkdir(parents=True, exist_ok=True)
    writer = sqlite3.connect(place, isolation_level=None)
    writer.execute("PRAGMA page_size=512")
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("PRAGMA wal_autocheckpoint=0")
    return writer


def make_database(place: Path, rows: int = 20) -> sqlite3.Connection:
    writer = open_database(place)
    writer.execute("CREATE TABLE t(a)")
    writer.executemany("INSERT INTO t VALUES (?)", [(f"row {number} of {place.name} " * 3,) for number in range(rows)])
    return writer


def damage(place: Path) -> None:
    with place.open("r+b") as pages:
        pages.seek(512)
        pages.write(b"\xff" * 1024)


def make_newer(place: Path) -> None:
    """A database with a view in a syntax that no SQLite knows today."""
    with contextlib.closing(make_database(place, 3)) as writer:
        writer.execute("CREATE VIEW v AS SELECT group_concat(a) FROM t")
        writer.execute("PRAGMA writable_schema=ON")
        newer = "CREATE VIEW v AS SELECT group_concat(a ORDER NEWLY BY a) FROM t"
        writer.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'v'", (newer,))


def fill(state: State) -> None:
    """Everything that the format has a word for."""
    state.put("openclaw.json", b'{"gateway": {"mode": "local"}}\n')
    state.put("workspace/notes.md", b"notes, day one\n", 0o640)
    state.put("workspace/shared.txt", b"of another group\n", 0o640)
    state.put("workspace/run.sh", b"#!/bin/sh\necho hello\n", 0o755)
    state.put("workspace/tool", b"#!/bin/sh\nexit 0\n", 0o700)
    state.put("workspace/read only", b"never written again\n", 0o444)
    state.put("workspace/in the future", b"a clock ran ahead\n")
    state.put("workspace/deep/er/est/leaf", b"leaf\n")
    (state.root / "workspace/empty folder").mkdir(mode=0o750)
    state.put("workspace/empty file", b"")
    state.put('workspace/it\'s "quoted" & <odd>?#%20', b"quotes\n")
    state.put("workspace/héllo ✓ 日本", b"unicode\n")
    state.put("workspace/two\nlines\ttab", b"newline\n")
    state.put(os.fsdecode(b"workspace/not utf-8 \xff\xfe"), b"bytes\n")
    state.put("workspace/back\\slash", b"backslash\n")
    state.put("workspace/" + "n" * 200, b"a long name\n")
    state.put("workspace/" + "/".join(["p" * 200] * 5), b"a path longer than a key\n")
    state.put(".openclaw/nested", b"a folder named like ours\n")
    state.put("latest/manifest.json", b"not ours\n")
    state.symlink("workspace/to notes", "notes.md")
    state.symlink("workspace/to nowhere", "../gone/for ever")
    state.sparse("workspace/sparse.img", 2 * 1024 * 1024)
    state.put("cache/rebuilt", b"left out\n")
    state.put("state/gateway.lock", b"left out\n")
    os.mkfifo(state.root / "state/pipe")
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening, contextlib.chdir(state.root):
        listening.bind("state/socket")
    make_newer(state.root / "memory/newer.sqlite")
    with contextlib.closing(make_database(state.root / "memory/older.sqlite")):
        pass
    damage(state.root / "memory/older.sqlite")
    with contextlib.closing(make_database(state.root / "memory/events.sqlite")):
        pass
    state.settle_folders()


class Sample:
    """The bucket as it grows, and the order in which its objects were last written."""

    def __init__(self, world: World, tools: Path) -> None:
        self.world = world
        self.order: list[str] = []
        self._unit_state = tools / "unit-state"
        self._known: dict[str, Any] = {}
        self.environment = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "SAMPLE_UNIT_STATE": str(self._unit_state),
        }
        (tools / "systemctl").write_text(SYSTEMCTL)
        (tools / "systemctl").chmod(0o755)

    def machine(self, name: str) -> Any:
        machine = self.world.machine(name)
        machine.environment.update(self.environment)
        (machine.disk / "instance.json").write_text(json.dumps({"stack": "sample"}))
        machine.environment["OPENCLAW_FREEZER"] = "none"
        machine.state.chmod(0o700)
        return machine

    def unit(self, machine: Any, word: str) -> None:
        """From here on the machine's gateway is a unit that systemd calls `word`."""
        machine.environment["OPENCLAW_FREEZER"] = "systemd:gateway.service"
        self._unit_state.write_text(word + "\n")

    def done(self, run: Any, *codes: int) -> str:
        assert run.code in (codes or (0,)), (run.code, run.err)
        self.note()
        print(run.code, run.line.get("result"), run.line.get("snapshot"), run.line.get("capture"))
        return str(run.line.get("snapshot", ""))

    def note(self) -> None:
        now = self.world.picture()
        self.order = [key for key in self.order if key in now and now[key] == self._known[key]]
        self.order += sorted(now.keys() - set(self.order), key=_writing_order)
        self._known = now


def _writing_order(key: str) -> tuple[int, str]:
    """Within one run: the snapshot, its manifest, `latest/`, its manifest, and the owner's record."""
    is_manifest = key.endswith("/manifest.json") and "/.openclaw/" not in key
    place = 0 if key.startswith("snapshots/") else 2 if key.startswith("latest/") else 4
    return place + is_manifest, key


@contextlib.contextmanager
def machine_dies_before_the_manifest() -> Iterator[None]:
    put_file = ObjectStore.put_file

    def dying(self: Any, key: str, *arguments: Any, **options: Any) -> Any:
        if key.endswith("/manifest.json"):
            raise AgentError("The machine is gone.")
        return put_file(self, key, *arguments, **options)

    with mock.patch.object(ObjectStore, "put_file", dying):
        yield


@contextlib.contextmanager
def freeze_too_short_to_clone_in() -> Iterator[None]:
    with mock.patch.object(Freeze, "spent", return_value=True):
        yield


def write_bucket(sample: Sample) -> None:
    world = sample.world
    # The first start is from an upload by hand, two keys of which no disk can hold.
    world.put("latest/.openclaw/openclaw.json", "{}\n")
    world.put("latest/.openclaw/a//b", "no disk holds this name\n")
    world.put("latest/README.txt", "put things here\n")
    sample.note()
    first = sample.machine("i-0aaaaaaaaaaaaaaa1")
    sample.done(first.boot())
    state = State(first.state)
    fill(state)
    main = first.state / "memory/main.sqlite"
    with contextlib.closing(make_database(main)) as writer:
        state.settle_folders()
        let_clock_tick()
        world.clock.now = day(1)
        sample.done(first.backup("--accept-shrink"), 1)  # older.sqlite is damaged
        # A second one in the same minute.
        state.put("workspace/run.sh", b"#!/bin/sh\necho again\n", 0o755)
        state.settle_folders()
        world.clock.now = day(1)
        sample.unit(first, "active")
        sample.done(first.backup(), 1)
        # The good database goes bad, its last good copy stays; and the log of the other grows.
        (first.state / "memory/older.sqlite").unlink()
        damage(first.state / "memory/events.sqlite")
        writer.execute("INSERT INTO t VALUES ('day two')")
        state.put("workspace/notes.md", b"notes, day two\n", 0o640)
        state.settle_folders()
        let_clock_tick()
        world.clock.now = day(2)
        sample.done(first.backup(), 1)
    (first.state / "memory/events.sqlite").unlink()
    with contextlib.closing(make_database(first.state / "memory/events.sqlite", 5)):
        pass
    state.settle_folders()
    let_clock_tick()
    sample.unit(first, "inactive")
    world.clock.now = day(3)
    sample.done(first.backup("--final"))

    second = sample.machine("i-0bbbbbbbbbbbbbbb2")
    sample.done(second.boot())
    state = State(second.state)
    with contextlib.closing(open_database(second.state / "memory/main.sqlite")) as writer:
        writer.execute("INSERT INTO t VALUES ('of the second instance')")
        state.put("workspace/deep/er/est/leaf", b"leaf of the second instance\n")
        state.put("workspace/second.md", b"new here\n")
        (second.state / "workspace/to nowhere").unlink()
        state.settle_folders()
        let_clock_tick()
        sample.unit(second, "active")
        world.clock.now = day(5)
        with freeze_too_short_to_clone_in():
            sample.done(second.backup())
        (second.state / "workspace/tool").unlink()
        state.settle_folders()
        world.clock.now = day(12, 23)
        sample.done(second.backup())

    # The third takes the bucket from the second, which has not released it and goes on: it is fenced.
    third = sample.machine("i-0ccccccccccccccc3")
    sample.unit(third, "inactive")
    sample.done(third.restore("--force", "--owner-wait", "0"))
    state = State(third.state)
    state.put("workspace/notes.md", b"notes of the third instance\n", 0o640)
    state.settle_folders()
    let_clock_tick()
    world.clock.now = day(13)
    sample.done(third.backup())
    State(second.state).put("workspace/late.md", b"written by a fenced instance\n")
    world.clock.now = day(13, 9)
    sample.done(second.backup(), 75)
    state.put("workspace/half.md", b"never committed\n")
    state.settle_folders()
    world.clock.now = day(13, 10)
    with machine_dies_before_the_manifest():
        sample.done(third.backup(), 1)
    assert world.owner()["displaced"] == second.name


def bucket_document(sample: Sample) -> dict[str, Any]:
    """The objects by key, in the order of their last writing, and each body once."""
    bodies, objects = {}, {}
    for key in sample.order:
        body = sample.world.get(key)
        digest = hashlib.sha256(body).hexdigest()
        bodies[digest] = base64.b64encode(zlib.compress(body, 9)).decode()
        objects[key] = digest
    return {
        "written_by": AGENT_VERSION,
        "commit": COMMIT,
        "bodies_zlib_base64": bodies,
        "objects": objects,
        "order": sample.order,
    }


def tree_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Every path below a folder, the folder itself as "", as the manifest's reader must bring it back."""
    places = [folder]
    for place, folders, files in os.walk(folder):
        places += [Path(place, name) for name in folders + files]
    for path in sorted(places):
        status = path.lstat()
        row: dict[str, Any] = {
            "path_hex": os.fsencode(path.relative_to(folder)).hex() if path != folder else "",
            "mode": f"{stat.S_IMODE(status.st_mode):04o}",
            "owner": [status.st_uid, status.st_gid],
            "mtime_ns": status.st_mtime_ns,
        }
        if stat.S_ISLNK(status.st_mode):
            row |= {"kind": "symlink", "target_hex": os.fsencode(os.readlink(path)).hex()}  # noqa: PTH115 - unchanged
        elif stat.S_ISDIR(status.st_mode):
            row |= {"kind": "dir"}
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            row |= {"kind": "file", "size": status.st_size, "sha256": digest}
        yield row


def expected_document(sample: Sample) -> dict[str, Any]:
    """What 0.1.0 itself restores from `latest/` and from each complete snapshot, each row once."""
    world = sample.world
    reader = sample.machine("a-reader")
    complete = [name for name in world.snapshots() if f"snapshots/{name}/manifest.json" in sample.order]
    rows: dict[str, int] = {}
    trees = {}
    for name in ("latest", *complete):
        target = world.folder / f"restored-{name}"
        flags = () if name == "latest" else ("--snapshot", name)
        run = reader.restore(*flags, "--to", str(target))
        assert run.code == 0, run.err
        texts = [json.dumps(row, ensure_ascii=True) for row in tree_of(target)]
        trees[name] = [rows.setdefault(text, len(rows)) for text in texts]
    return {"rows": [json.loads(text) for text in rows], "trees": trees}


def write_json(place: Path, document: dict[str, Any]) -> None:
    place.write_text(_lines(document) + "\n")
    print(place.name, place.stat().st_size)


def _lines(document: dict[str, Any]) -> str:
    """JSON with a line for each item of a table, so that a change is seen in a diff."""
    parts = []
    for name, value in document.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(key)}: {json.dumps(item)}" for key, item in value.items())
            text = f"{{\n{inner}\n }}"
        elif isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(item)}" for item in value) + "\n ]"
        else:
            text = json.dumps(value)
        parts.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}"


def report_fields(sample: Sample) -> None:
    """Print which fields of the format appear, and with which values where these are few."""
    header: dict[str, set[str]] = {}
    entry: dict[str, int] = {}
    for key in sample.order:
        if not key.endswith("/manifest.json") or "/.openclaw/" in key:
            continue
        manifest = json.loads(sample.world.get(key))
        print(key, manifest["epoch"], manifest["capture"], len(manifest["entries"]), bool(manifest["quarantined"]))
        for name, value in manifest.items():
            if value not in ("", []):
                header.setdefault(name, set()).add(str(len(value)) if isinstance(value, list) else str(value)[:60])
        for row in manifest["entries"]:
            for name in row:
                entry[name] = entry.get(name, 0) + 1
        print("   damaged:", [(row["path"], row["last_good"], len(row["sha256"])) for row in manifest["damaged"]])
        print("   left_behind:", manifest["left_behind"])
    print("header:", sorted(header))
    print("entry:", entry)


def main(into: Callable[[str], Path]) -> None:
    with tempfile.TemporaryDirectory(prefix="sample-") as scratch, EmbeddedAws() as aws:
        tools = Path(scratch) / "tools"
        tools.mkdir()
        sample = Sample(World(aws, Path(scratch)), tools)
        write_bucket(sample)
        report_fields(sample)
        write_json(into("bucket_0_1_0.json"), bucket_document(sample))
        write_json(into("trees_0_1_0.json"), expected_document(sample))
        shutil.rmtree(tools)


if __name__ == "__main__":
    main(Path(sys.argv[1]).joinpath)
