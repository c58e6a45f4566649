"""The release archive: everything the instance runs, as one file whose sum depends on nothing but its contents."""

import hashlib
import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

ARCHIVE_NAME = "openclaw-release.tar"
"""The last part of the release's key in the scripts bucket."""


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One file of the release: its path inside, with forward slashes, and its bytes."""

    path: str
    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Release:
    """A built release: the archive's bytes and their SHA-256 in hexadecimal."""

    archive: bytes
    sha256: str

    @property
    def key(self) -> str:
        """Where the archive lies in the scripts bucket."""
        return f"releases/{self.sha256}/{ARCHIVE_NAME}"


def build_release(members: Iterable[Member]) -> Release:
    """Pack the members into a tar archive and name it by its sum.

    The order of the members does not matter, and times, owners and modes on the building machine do not enter it. It is
    not compressed: the wheels are most of it and compressed already, and what deflate makes of the rest differs from
    one build of zlib to the next, so that two people deploying one commit would replace each other's instance.

    Raises:
        ValueError: when two members have one path.
    """
    archive = _tar(sorted(members))
    return Release(archive, hashlib.sha256(archive).hexdigest())


def _tar(members: list[Member]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        previous = None
        for member in members:
            if member.path == previous:
                raise ValueError(f"The release would hold {member.path} twice.")
            previous = member.path
            header = tarfile.TarInfo(member.path)
            header.size = len(member.content)
            header.mode = 0o755 if member.executable else 0o644
            archive.addfile(header, io.BytesIO(member.content))
    return packed.getvalue()
