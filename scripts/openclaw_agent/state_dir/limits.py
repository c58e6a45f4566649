"""How much of a state folder a backup takes, so that no file and no folder of it keeps the rest out. Pure."""

from collections.abc import Container
from dataclasses import dataclass

GIB = 1024**3
# What is looked for among the names of a folder that has too many, for each that is allowed in all.
NAMES_READ_FOR_EACH = 8


@dataclass(frozen=True, slots=True)
class StateLimits:
    """`file_bytes` is the size of the largest file; `entries` counts files, folders and all else; `depth` folders."""

    file_bytes: int
    entries: int
    depth: int

    def why_too_large(self, size: int) -> str | None:
        """Why a file of this size is left out, or None."""
        if size <= self.file_bytes:
            return None
        return f"it has {_gib(size)}, more than backup_max_file_gib allows ({_gib(self.file_bytes)})"

    def why_too_many_holes(self, holes: int) -> str | None:
        """Why a file is left out with which the holes of all files have this many bytes, or None."""
        if holes <= self.file_bytes:
            return None
        return f"the holes of all files together are more than backup_max_file_gib allows ({_gib(self.file_bytes)})"

    def why_too_deep(self, path: str) -> str | None:
        """Why what is in this folder is left out, or None."""
        if path.count("/") + 1 < self.depth:
            return None
        return f"it lies {self.depth:,} folders deep, more than backup_max_depth allows for what is in it"


UNLIMITED = StateLimits(2**63, 2**63, 2**63)


class Admission:
    """Who is let in of a state of too many entries: whatever the last backup had, and of what is new the first ones.

    Half of the room is nobody's: one folder alone does not keep the others out.
    """

    def __init__(self, limits: StateLimits, known: Container[str]) -> None:
        self._limits = limits
        self._known = known
        self._count = 0
        self._in_folder = 0
        self._names = 0

    def begin_folder(self) -> None:
        """The next names are those of another folder."""
        self._in_folder = self._names = 0

    def admits(self, path: str) -> bool:
        """Whether the backup takes this path of the folder."""
        self._names += 1
        is_full = self._count >= self._limits.entries or self._in_folder >= max(self._limits.entries // 2, 1)
        if is_full and path not in self._known:
            return False
        self._count += 1
        self._in_folder += 1
        return True

    @property
    def has_read_enough(self) -> bool:
        """Whether the folder has so many names that nobody reads the rest."""
        return self._names >= self._limits.entries * NAMES_READ_FOR_EACH

    @property
    def reason(self) -> str:
        """Why the rest of a folder is left out."""
        most = f"{self._limits.entries:,}"
        return f"not all that is in it is taken: there is more than backup_max_entries allows ({most})"


def _gib(size: int) -> str:
    return f"{size / GIB:,.1f} GiB".replace(".0 GiB", " GiB")
