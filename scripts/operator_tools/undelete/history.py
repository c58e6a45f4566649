"""The versions of a bucket's objects, and which of them was the object at a moment. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

STANDARD = "STANDARD"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, or a delete marker (`deleted`), as ListObjectVersions tells of it.

    `since` is when it became the newest one; S3 tells whole seconds. `size` is in bytes; `etag` names the content.
    """

    key: str
    version_id: str
    since: datetime
    deleted: bool = False
    size: int = 0
    etag: str = ""
    storage_class: str = STANDARD

    @property
    def archived(self) -> bool:
        """Whether the bytes cannot be read or copied before S3 has thawed them."""
        return self.storage_class in {"GLACIER", "DEEP_ARCHIVE"}

    def same_content(self, other: "Version") -> bool:
        """Whether both hold the same bytes, so that one need not be copied over the other."""
        return (self.deleted, self.size, self.etag) == (other.deleted, other.size, other.etag)


class History:
    """Every version of every key, newest first."""

    def __init__(self, versions: Iterable[Version]) -> None:
        """Take versions in S3's order: by key, and of one key the newest first."""
        of_key: defaultdict[str, list[Version]] = defaultdict(list)
        for version in versions:
            of_key[version.key].append(version)
        self._of_key: Mapping[str, list[Version]] = of_key

    @property
    def keys(self) -> Iterable[str]:
        """Every key that has a version."""
        return self._of_key.keys()

    def now(self, key: str) -> Version | None:
        """Return the object as it is, or None where there is none."""
        return _unless_deleted(next(iter(self._of_key.get(key, ())), None))

    def at(self, key: str, moment: datetime) -> Version | None:
        """Return the object as it was at the end of a moment's second, or None where there was none."""
        return _unless_deleted(next((each for each in self._of_key.get(key, ()) if each.since <= moment), None))

    def moments_of(self, key: str) -> list[Version]:
        """Return every version of a key that is an object, newest first."""
        return [version for version in self._of_key.get(key, ()) if not version.deleted]


def _unless_deleted(version: Version | None) -> Version | None:
    return None if version is None or version.deleted else version
