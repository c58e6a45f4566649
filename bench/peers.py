"""The programs that are measured beside each other: the agent, and what people use instead of it."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AGENT = "the agent"
Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Program:
    """A program that backs the state up, restores it, and restores one path of it.

    In its commands {cycle} stands for the cycle's number. `restored` is the folder that `restore` fills,
    `restored_path` the file that `restore_path` brings back. `prepare` is not measured.
    """

    name: str
    keeps: str
    backup: tuple[Command, ...]
    restore: Command
    restore_path: Command
    restored: Path
    restored_path: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Command = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run happens: state, scratch folder, the line's URL, bucket, and the path that is restored alone."""

    state: Path
    scratch: Path
    endpoint: str
    bucket: str
    one_path: str

    def restored_by(self, name: str) -> Path:
        """The folder into which a program restores everything."""
        return self.scratch / f"restored-by-{name}"

    def path_restored_by(self, name: str) -> Path:
        """The folder into which it restores the one path."""
        return self.scratch / f"path-restored-by-{name}"


def bucket_of(name: str) -> str:
    """The bucket of a program's own."""
    return name.replace("the ", "").replace(" ", "-")


def the_agent(place: Place, _program: str) -> Program:
    """This repository's agent, over commands as its units run them."""
    backup = (sys.executable, str(ROOT / "scripts" / "openclaw-s3-backup.py"))
    run = (sys.executable, str(ROOT / "scripts" / "openclaw-s3-restore.py"), "run", "--bucket", place.bucket)
    target, one = place.restored_by("agent"), place.path_restored_by("agent")
    return Program(
        AGENT,
        "each snapshot, and latest/ whole, as plain files",
        ((*backup, "--bucket", place.bucket, "--state-dir", str(place.state)),),
        (*run, "--to", str(target)),
        (*run, "--path", place.one_path, "--to", str(one)),
        target,
        one / place.one_path,
        {
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
            "OPENCLAW_AGENT_DIR": str(place.scratch / "agent"),
            "OPENCLAW_AGENT_SETTINGS": str(place.scratch / "instance.json"),
            "OPENCLAW_INSTANCE_ID": "bench",
            "OPENCLAW_BOOT_ID": "bench",
        },
    )


def two_aws_syncs(place: Place, program: str) -> Program:
    """What the naive design does: one sync into latest/, one into the snapshot."""
    sync = (program, "s3", "sync", "--delete", "--only-show-errors")
    target, one = place.restored_by("aws"), place.path_restored_by("aws")
    base = f"s3://{place.bucket}"
    return Program(
        "two aws s3 syncs",
        "each snapshot, and latest/, whole",
        tuple((*sync, str(place.state), f"{base}/{folder}") for folder in ("latest", "snapshots/{cycle}")),
        (*sync, f"{base}/latest", str(target)),
        (program, "s3", "cp", "--only-show-errors", f"{base}/latest/{place.one_path}", str(one / place.one_path)),
        target,
        one / place.one_path,
    )


def s5cmd_pair(place: Place, program: str) -> Program:
    """s5cmd: a sync into latest/, and copies inside S3 into the snapshot."""
    s5cmd = (program, "--log", "error", "--endpoint-url", place.endpoint)
    target, one = place.restored_by("s5cmd"), place.path_restored_by("s5cmd")
    base = f"s3://{place.bucket}"
    return Program(
        "s5cmd, latest + snapshot",
        "each snapshot, and latest/, whole",
        (
            (*s5cmd, "sync", "--delete", f"{place.state}/", f"{base}/latest/"),
            (*s5cmd, "cp", f"{base}/latest/*", f"{base}/snapshots/{{cycle}}/"),
        ),
        (*s5cmd, "sync", "--delete", f"{base}/latest/*", f"{target}/"),
        (*s5cmd, "cp", f"{base}/latest/{place.one_path}", str(one / place.one_path)),
        target,
        one / place.one_path,
    )


def rclone_pair(place: Place, program: str) -> Program:
    """rclone: a sync into latest/, and copies inside S3 into the snapshot."""
    rclone = (
        program,
        "--s3-provider",
        "Other",
        "--s3-env-auth",
        "--s3-endpoint",
        place.endpoint,
        "--log-level",
        "ERROR",
    )
    target, one = place.restored_by("rclone"), place.path_restored_by("rclone")
    base = f":s3:{place.bucket}"
    return Program(
        "rclone, latest + snapshot",
        "each snapshot, and latest/, whole",
        (
            (*rclone, "sync", str(place.state), f"{base}/latest"),
            (*rclone, "copy", f"{base}/latest", f"{base}/snapshots/{{cycle}}"),
        ),
        (*rclone, "sync", f"{base}/latest", str(target)),
        (*rclone, "copyto", f"{base}/latest/{place.one_path}", str(one / place.one_path)),
        target,
        one / place.one_path,
        {"RCLONE_CONFIG": str(place.scratch / "rclone.conf")},
    )


def restic(place: Place, program: str) -> Program:
    """restic: packs, deduplicated and encrypted."""
    target, one = place.restored_by("restic"), place.path_restored_by("restic")
    repository = {
        "RESTIC_REPOSITORY": f"s3:{place.endpoint}/{place.bucket}",
        "RESTIC_PASSWORD": "bench",
        "RESTIC_CACHE_DIR": str(place.scratch / "restic-cache"),
    }
    # It restores the whole path below its target.
    inside = place.state.relative_to("/")
    include = ("--include", str(place.state / place.one_path))
    return Program(
        "restic",
        "each snapshot, in packs of its own format",
        ((program, "backup", "--quiet", str(place.state)),),
        (program, "restore", "--quiet", "latest", "--target", str(target)),
        (program, "restore", "--quiet", "latest", "--target", str(one), *include),
        target / inside,
        one / inside / place.one_path,
        repository,
        (program, "init", "--quiet"),
    )


PEERS: Mapping[str, Callable[[Place, str], Program]] = {
    "aws": two_aws_syncs,
    "s5cmd": s5cmd_pair,
    "rclone": rclone_pair,
    "restic": restic,
}


def found_programs(folder: Path) -> dict[str, str]:
    """The peers that there are, by name: in the folder, else on the PATH."""
    where = os.pathsep.join((str(folder), os.environ.get("PATH", "")))
    return {name: found for name in PEERS if (found := shutil.which(name, path=where))}
