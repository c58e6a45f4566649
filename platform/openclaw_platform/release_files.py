"""Which files of the repository make up the release, and where the built archive is kept for the upload."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from openclaw_platform.refusals import ReleaseIncomplete
from openclaw_platform.release import ARCHIVE_NAME, Member, Release

USER_DATA_TEMPLATE = Path("cloud_init/user-data.yaml.tmpl")
"""The one file of cloud_init/ that is not in the release: it is what fetches the release."""

KEPT_ARCHIVES = 3
"""How many built archives, of some 28 MB each, stay below .cache/releases/."""

_EXECUTABLE_SUFFIXES = frozenset({".sh", ".py"})


def release_members(repository: Path, wheels: Iterable[Path]) -> Iterator[Member]:
    """Read every file of the release: cloud_init/ at the top, the agent and its commands below agent/, the wheels.

    Raises:
        ReleaseIncomplete: when one of the three has no files.
    """
    yield from _found(_installer_files(repository), "cloud_init/")
    yield from _found(_package_files(repository), "scripts/openclaw_agent/")
    yield from _found(_command_files(repository), "scripts/openclaw-*.py")
    yield from _found((Member(f"wheels/{wheel.name}", wheel.read_bytes()) for wheel in wheels), "the wheel folder")


def read_user_data_template(repository: Path) -> str:
    """Read the one file of cloud_init/ that is not in the release.

    Raises:
        ReleaseIncomplete: when it is missing.
    """
    try:
        return (repository / USER_DATA_TEMPLATE).read_text(encoding="utf-8")
    except OSError as error:
        raise ReleaseIncomplete(f"The user-data's template cannot be read: {error}.") from error


def keep_archive(release: Release, repository: Path) -> Path:
    """Write the archive below .cache/releases/, where Pulumi reads it during the upload, and return its path."""
    path = repository / ".cache" / "releases" / release.sha256 / ARCHIVE_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.stat().st_size != len(release.archive):
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(release.archive)
        unfinished.replace(path)
    os.utime(path.parent)
    _drop_older_archives(path.parent.parent)
    return path


def _drop_older_archives(folder: Path) -> None:
    newest_first = sorted(folder.iterdir(), key=lambda kept: kept.stat().st_mtime, reverse=True)
    for old in newest_first[KEPT_ARCHIVES:]:
        shutil.rmtree(old, ignore_errors=True)


def _installer_files(repository: Path) -> Iterator[Member]:
    folder = repository / "cloud_init"
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        hidden = any(part.startswith((".", "__")) for part in inside.parts)
        if path.is_file() and not hidden and path != repository / USER_DATA_TEMPLATE:
            yield Member(inside.as_posix(), path.read_bytes(), path.suffix in _EXECUTABLE_SUFFIXES)


def _package_files(repository: Path) -> Iterator[Member]:
    folder = repository / "scripts" / "openclaw_agent"
    for path in folder.rglob("*.py"):
        yield Member(f"agent/openclaw_agent/{path.relative_to(folder).as_posix()}", path.read_bytes())


def _command_files(repository: Path) -> Iterator[Member]:
    scripts = repository / "scripts"
    for path in (*scripts.glob("openclaw-*.py"), *scripts.glob("openclaw-lab")):
        yield Member(f"agent/bin/{path.name}", path.read_bytes(), executable=True)


def _found(members: Iterable[Member], place: str) -> Iterator[Member]:
    nothing_yet = True
    for member in members:
        nothing_yet = False
        yield member
    if nothing_yet:
        raise ReleaseIncomplete(f"The release needs files from {place}, and there are none.")
