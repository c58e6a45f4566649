"""What the agent's tests in moto share: a bucket, machines that live on it, and pictures of folders and buckets."""

import contextlib
import hashlib
import io
import itertools
import json
import os
import stat
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from botocore.config import Config
from botocore.loaders import create_loader

from lab.moto.server import EmbeddedAws
from openclaw_agent.agent_dir.folder import AgentDir
from openclaw_agent.cli import backup, lifecycle, restore
from openclaw_agent.fs.attributes import flags_of
from openclaw_agent.fs.removal import remove_tree
from openclaw_agent.snapshot.manifest import Manifest
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.manifests import read_manifest

FIRST_BACKUP = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BOTOCORE_DESCRIPTIONS = create_loader()
LATEST_MANIFEST = "latest/manifest.json"

# A budget in USD a month: of any state, or of none.
EVERY_SNAPSHOT_WHOLE = {"OPENCLAW_BACKUP_BUDGET_USD": "100000"}
DIFFERENTIAL = {"OPENCLAW_BACKUP_BUDGET_USD": "0"}

Picture = dict[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command in this process: its exit code, its two outputs, and its line in the log."""

    code: int
    out: str
    err: str
    line: Mapping[str, Any]

    @property
    def requests(self) -> dict[str, int]:
        return dict(self.line["requests"])

    @property
    def total_requests(self) -> int:
        return sum(self.requests.values())


@dataclass(slots=True)
class TestClock:
    """Hands out instants a minute apart on one day, so that names never collide and no day ends by chance."""

    __test__ = False
    now: datetime = FIRST_BACKUP

    def __call__(self) -> datetime:
        instant, self.now = self.now, self.now + MINUTE
        return instant


@dataclass(slots=True)
class SimulatedInstance:
    """A simulated instance: its identity, its disk (state folder and agent folder), and which boot it is in."""

    world: "FreshBucket"
    name: str
    disk: Path
    boot_number: int = 1
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.disk / "state"

    @property
    def agent(self) -> Path:
        return self.disk / "agent"

    @property
    def agent_dir(self) -> AgentDir:
        return AgentDir(self.agent)

    def variables(self) -> dict[str, str]:
        """The environment of this machine's commands, also for a command in a process of its own."""
        return {
            **self.world.environment,
            "OPENCLAW_AGENT_DIR": str(self.agent),
            "OPENCLAW_INSTANCE_ID": self.name,
            "OPENCLAW_BOOT_ID": f"{self.name}-boot-{self.boot_number}",
            "OPENCLAW_AGENT_SETTINGS": str(self.disk / "instance.json"),
            **self.environment,
        }

    def write(self, path: str, text: str = "text\n") -> Path:
        place = self.state / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def backup(self, *flags: str) -> Run:
        return self._run(partial(backup.main, clock=self.world.clock), "backup", *self._state_flags(), *flags)

    def restore(self, *flags: str) -> Run:
        """Restore in place where nothing else is asked for."""
        return self.run_restore(*self._state_flags(), *(flags or ("run",)))

    def run_restore(self, *arguments: str) -> Run:
        """Run the command with nothing but these arguments."""
        return self._run(partial(restore.main, clock=self.world.clock), "restore", *arguments)

    def boot(self, *flags: str) -> Run:
        """Take ownership and restore, waiting for nobody."""
        return self.restore("boot", "--owner-wait", "0", *flags)

    def reboot(self) -> Run:
        """The same disk in a new boot."""
        self.boot_number += 1
        return self.boot()

    def lifecycle(self, *flags: str) -> Run:
        return self._run(lifecycle.main, "lifecycle", "--bucket", self.world.bucket, *flags)

    def lose_state(self) -> None:
        remove_tree(self.state)

    def _state_flags(self) -> tuple[str, ...]:
        return ("--bucket", self.world.bucket, "--state-dir", str(self.state))

    def _run(self, main: Callable[[list[str]], int], log_name: str, *flags: str) -> Run:
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, self.variables()),
            # Half of a small run's time would go into reading botocore's service descriptions again.
            mock.patch("botocore.session.create_loader", return_value=BOTOCORE_DESCRIPTIONS),
            mock.patch("boto3.session.Session", shared_session),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                code = main(list(flags))
            except SystemExit as leaving:
                code = int(leaving.code or 0)
        return Run(code, out.getvalue(), err.getvalue(), self._last_line(log_name))

    def _last_line(self, log_name: str) -> Mapping[str, Any]:
        log = self.agent / "log" / f"{log_name}.log"
        if not log.exists():
            return {}
        line: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
        return line


class SharedSession(boto3.Session):
    """A session for all runs in the same AWS environment: making one and its client takes as long as ten requests."""

    def __init__(self, **options: str) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self._made: dict[tuple[str, str], Any] = {}

    def client(self, service: str, *, config: Config) -> Any:  # type: ignore[override]
        wanted = (service, repr(vars(config)))
        if wanted not in self._made:
            self._made[wanted] = super().client(service, config=config)  # type: ignore[call-overload]
        return self._made[wanted]


def shared_session(*, region_name: str) -> SharedSession:
    aws = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
    return _session(aws, region_name)


@cache
def _session(_environment: tuple[tuple[str, str], ...], region_name: str) -> SharedSession:
    return SharedSession(region_name=region_name)


class FreshBucket:
    """One fresh bucket in the embedded AWS, or a given one that machines use with the keys of a role."""

    def __init__(
        self, aws: EmbeddedAws, folder: Path, bucket: str | None = None, role: Mapping[str, str] | None = None
    ) -> None:
        self.aws = aws
        self.folder = folder
        self.bucket = bucket or f"agent-{uuid.uuid4().hex[:20]}"
        self.s3 = aws.client("s3")
        if bucket is None:
            self.s3.create_bucket(Bucket=self.bucket)
        self.clock = TestClock()
        self.environment = {
            **aws.environment,
            **(role or {}),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
        }
        self._numbers = itertools.count(1)

    def machine(self, name: str | None = None) -> SimulatedInstance:
        """A new machine with an empty disk; the state folder exists and is empty, as the installer leaves it."""
        number = next(self._numbers)
        disk = self.folder / f"disk-{number}"
        (disk / "state").mkdir(parents=True)
        return SimulatedInstance(self, name or f"machine-{number}", disk)

    def booted(self, name: str | None = None) -> SimulatedInstance:
        """A new machine that has taken the bucket and restored what is there."""
        machine = self.machine(name)
        run = machine.boot()
        assert run.code == 0, run.err
        return machine

    def store(self, *, attempts: int = 6, sleep: Callable[[float], object] = time.sleep) -> Bucket:
        with (
            mock.patch.dict(os.environ, self.environment),
            mock.patch("botocore.session.create_loader", return_value=BOTOCORE_DESCRIPTIONS),
        ):
            return Bucket(self.bucket, self.aws.region, attempts=attempts, stall_seconds=30, sleep=sleep)

    def put(self, key: str, body: bytes | str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def put_all(self, objects: Mapping[str, bytes | str]) -> None:
        """Put many objects in their order, which the embedded server takes at once."""
        if isinstance(self.aws, EmbeddedAws):
            self.aws.seed(self.bucket, objects)
        else:
            for key, body in objects.items():
                self.put(key, body)

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        return [row["Key"] for row in self._listed(prefix)]

    def empty(self) -> None:
        self.delete(*self.keys())

    def picture(self, prefix: str = "") -> Picture:
        """Every object with its ETag and the second in which it was written."""
        return {row["Key"]: (row["ETag"], row["LastModified"], row["Size"]) for row in self._listed(prefix)}

    def owner(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.get("owner.json"))
        return record

    def snapshots(self) -> list[str]:
        """The names of all snapshots, complete or not, from old to new."""
        return sorted({key.split("/")[1] for key in self.keys("snapshots/")})

    def manifest(self, where: str) -> Manifest:
        """The manifest of `latest` or of a snapshot."""
        key = LATEST_MANIFEST if where == "latest" else f"snapshots/{where}/manifest.json"
        stored = read_manifest(self.store(), key)
        assert stored is not None, f"{key} does not exist"
        return stored.manifest

    def _listed(self, prefix: str) -> Iterator[dict[str, Any]]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            yield from page.get("Contents", [])


def picture(folder: Path, mounted: Collection[str] = ()) -> Picture:
    """All that must come back below `folder`: metadata, content or target, and which names are one file.

    Of what is `mounted` (paths relative to the folder) only that there is a folder.
    """
    rows: Picture = {"": _row(folder)}
    names: dict[tuple[int, int], list[str]] = {}
    for place, folders, files in os.walk(folder):
        here = {name for name in folders if os.path.relpath(Path(place) / name, folder) in mounted}
        rows |= {os.path.relpath(Path(place) / name, folder): ("folder",) for name in here}
        folders[:] = [name for name in folders if name not in here]
        for name in folders + files:
            found = Path(place) / name
            status = found.lstat()
            if stat.S_IFMT(status.st_mode) in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
                path = os.path.relpath(found, folder)
                rows[path] = _row(found)
                names.setdefault((status.st_dev, status.st_ino), []).append(path)
    rows |= {path: (*rows[path], *sorted(same)) for same in names.values() if len(same) > 1 for path in same}
    return rows


def contents(folder: Path) -> dict[str, str]:
    """The regular files below `folder` with their text."""
    return {
        str(place.relative_to(folder)): place.read_text(errors="surrogateescape")
        for place in sorted(folder.rglob("*"))
        if place.is_file() and not place.is_symlink()
    }


def _row(place: Path) -> tuple[object, ...]:
    status = place.lstat()
    owner = (status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return ("symlink", owner, status.st_mtime_ns, os.readlink(place))  # noqa: PTH115 - unchanged by pathlib
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    xattrs = {name: os.getxattr(place, name) for name in os.listxattr(place)}
    handle = os.open(place.parent, os.O_PATH)
    try:
        attributes = (xattrs, flags_of(handle, place.name))
    finally:
        os.close(handle)
    if stat.S_ISDIR(status.st_mode):
        return ("folder", mode, owner, status.st_mtime_ns, attributes)
    with place.open("rb") as reading:
        digest = hashlib.file_digest(reading, "sha256").hexdigest()
    return ("file", mode, owner, status.st_mtime_ns, status.st_size, digest, attributes)


def let_clock_tick() -> None:
    """Wait until files written so far are no longer so young that the next capture distrusts their times."""
    time.sleep(1.1)
