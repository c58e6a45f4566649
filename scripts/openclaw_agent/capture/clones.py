"""Where the local clones of one capture lie."""

from collections.abc import Iterator, Mapping
from pathlib import Path


class CloneDir(Mapping[str, Path]):
    """The local clone of each file whose bytes were read; kept as numbers, for 100,000 Paths would take 40 MiB."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers: dict[str, int] = {}
        self._last = 0

    def next_number(self) -> int:
        """A number that no clone has yet."""
        self._last += 1
        return self._last

    def add(self, path: str, number: int) -> None:
        """The clone of `path` has this number."""
        self._numbers[path] = number

    def path(self, number: int) -> Path:
        """Where the clone of this number lies."""
        return self._folder / f"{number:07d}"

    def __getitem__(self, path: str) -> Path:
        return self.path(self._numbers[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)
