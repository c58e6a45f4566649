"""Where the local clones of one capture lie."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path


class CloneDir(Mapping[str, Path]):
    """The local clone of each file whose bytes were read, found by bisection.

    A first backup of 100,000 files holds them all: as Paths they would take 40 MiB, as numbers in a dict 8, so 1.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: list[str] = []
        self._numbers = array("I")
        self._is_sorted = True
        self._last = 0

    def next_number(self) -> int:
        """A number that no clone has yet."""
        self._last += 1
        return self._last

    def add(self, path: str, number: int) -> None:
        """The clone of `path`, which has none yet, has this number."""
        self._is_sorted = self._is_sorted and (not self._paths or self._paths[-1] < path)
        self._paths.append(path)
        self._numbers.append(number)

    def path(self, number: int) -> Path:
        """Where the clone of this number lies."""
        return self._folder / f"{number:07d}"

    def __getitem__(self, path: str) -> Path:
        if (place := self._place(path)) is None:
            raise KeyError(path)
        return self.path(self._numbers[place])

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._place(path) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def _place(self, path: str) -> int | None:
        if not self._is_sorted:
            order = sorted(range(len(self._paths)), key=self._paths.__getitem__)
            self._numbers = array("I", (self._numbers[place] for place in order))
            self._paths.sort()
            self._is_sorted = True
        place = bisect_left(self._paths, path)
        return place if place < len(self._paths) and self._paths[place] == path else None
