"""What a property of a resource may hold on its way from a program to a handler, and into the state."""

from __future__ import annotations

import enum
import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.resources.errors import InvalidInput

Inputs = dict[str, Any]
"""Property names in the provider's camelCase; values are JSON values, `UNKNOWN` or an `Asset`."""


class Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = enum.auto()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown.UNKNOWN
"""A value that only exists once something has been created; it is seen in previews alone, and equals nothing."""


class AssetKind(enum.StrEnum):
    """How an asset names its bytes."""

    FILE = "file"
    TEXT = "text"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, a text or an archive that a program hands over; two are equal when their bytes are."""

    sha256: str
    kind: AssetKind = field(compare=False)
    content: bytes | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, kind: AssetKind, content: bytes) -> Asset:
        """Return the asset that holds these bytes."""
        return cls(hashlib.sha256(content).hexdigest(), kind, content)

    def read(self) -> bytes:
        """Return the bytes.

        Raises:
            InvalidInput: the asset comes from the state, which remembers its sum alone.
        """
        if self.content is None:
            raise InvalidInput(f"The bytes of the asset {self.sha256[:12]} are not kept in the state.")
        return self.content


def asset_from_file(path: Path) -> Asset:
    """Read a FileAsset.

    Raises:
        InvalidInput: there is no such file.
    """
    if not path.is_file():
        raise InvalidInput(f"The asset {path} is not a file.")
    return Asset.of(AssetKind.FILE, path.read_bytes())


def archive_from_path(path: Path) -> Asset:
    """Read a FileArchive: an archive file as it is, or a folder as a zip with sorted names and fixed times.

    Raises:
        InvalidInput: there is nothing at the path.
    """
    if path.is_file():
        return Asset.of(AssetKind.ARCHIVE, path.read_bytes())
    if not path.is_dir():
        raise InvalidInput(f"The archive {path} is neither a file nor a folder.")
    members = {str(entry.relative_to(path)): entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}
    return archive_from_members(members)


def archive_from_members(members: Mapping[str, bytes]) -> Asset:
    """Return a zip of these files whose bytes depend on nothing else."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name])
    return Asset.of(AssetKind.ARCHIVE, packed.getvalue())


def same(old: object, new: object) -> bool:
    """Tell whether two values are equal; an unknown one never is."""
    return not contains_unknown(old) and not contains_unknown(new) and old == new


def contains_unknown(value: object) -> bool:
    """Tell whether a value is unknown or holds something unknown."""
    if isinstance(value, dict):
        return any(contains_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_unknown(item) for item in value)
    return value is UNKNOWN


def known_text(value: object) -> str | None:
    """Return a value that is a known string, or None."""
    return value if isinstance(value, str) else None


def known_objects(value: object) -> list[dict[str, Any]]:
    """Return the known objects of a list that may be missing or unknown."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def known_texts(value: object) -> list[str]:
    """Return the known strings of a list that may be missing or unknown."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
