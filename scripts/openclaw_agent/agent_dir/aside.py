"""What a restore has made beside or in the state folder, and how far it got: known by record, never by a name.

What no record names is the user's own, whatever it is called.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.atomic import replace_file
from openclaw_agent.fs.removal import remove_file

NOT_MADE_YET = 0


@dataclass(frozen=True, slots=True)
class MadeFolder:
    """A folder of ours, by its path and its inode (`NOT_MADE_YET` before it is made).

    `only_copies` are the paths in it that are in no backup: it is not removed while there are any.
    """

    path: str
    inode: int
    only_copies: tuple[str, ...] = ()

    def is_there(self) -> bool:
        """Whether it lies where it was made, and is the same."""
        try:
            return self.inode != NOT_MADE_YET and Path(self.path).lstat().st_ino == self.inode
        except OSError:
            return False

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """What was written by `asdict`."""
        return cls(str(fields["path"]), int(fields["inode"]), tuple(map(str, fields.get("only_copies", ()))))


@dataclass(frozen=True, slots=True)
class Swap:
    """A swap under way, with all that is needed to finish it.

    `targets` are the paths that are replaced ("" for all), `stay` what lies in them and is not touched;
    `spine` are the folders on the way to that, with the mtimes that they had and are to have, in nanoseconds. While
    `moving_in` is false only what was there is moved aside; from then on what was built is moved in.
    """

    state: str
    building: str
    aside: str
    targets: tuple[str, ...]
    stay: tuple[str, ...]
    spine: tuple[str, ...]
    old_times: Mapping[str, int]
    new_times: Mapping[str, int]
    moving_in: bool = False

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """What was written by `asdict`."""
        return cls(
            str(fields["state"]),
            str(fields["building"]),
            str(fields["aside"]),
            targets=tuple(map(str, fields["targets"])),
            stay=tuple(map(str, fields["stay"])),
            spine=tuple(map(str, fields["spine"])),
            old_times={str(path): int(time) for path, time in fields["old_times"].items()},
            new_times={str(path): int(time) for path, time in fields["new_times"].items()},
            moving_in=bool(fields["moving_in"]),
        )


@dataclass(frozen=True, slots=True)
class LateFlags:
    """Flags (chattr) that what is swapped in is to have, and cannot have before.

    `rows` are by path its letters and the inode under which it was built.
    """

    state: str
    rows: Mapping[str, tuple[str, int]]

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Self:
        """What was written by `asdict`."""
        return cls(
            str(fields["state"]),
            {str(path): (str(flags), int(inode)) for path, (flags, inode) in fields["rows"].items()},
        )


class AsideRecords:
    """The records in the agent's folder."""

    def __init__(self, folder: Path) -> None:
        self._swap = folder / "swap.json"
        self._staging = folder / "staging.json"
        self._put_aside = folder / "put-aside.json"
        self._late_flags = folder / "late-flags.json"

    def swap(self) -> Swap | None:
        """The swap that was begun and not finished.

        Raises:
            LocalStorageError: when there is a record of one that cannot be read.
        """
        return Swap.of(fields) if (fields := _read(self._swap, "state")) else None

    def note_swap(self, swap: Swap) -> None:
        """Note, before the first step of it, what a swap will do."""
        _write(self._swap, asdict(swap))

    def forget_swap(self) -> None:
        """It is done, or undone."""
        remove_file(self._swap)

    def staging(self) -> MadeFolder | None:
        """The folder in which a restore builds."""
        return MadeFolder.of(fields) if (fields := _read(self._staging, "path")) else None

    def note_staging(self, made: MadeFolder) -> None:
        """Note it, before it is made and after."""
        _write(self._staging, asdict(made))

    def forget_staging(self) -> None:
        """It is gone, or has become the state folder."""
        remove_file(self._staging)

    def late_flags(self) -> LateFlags | None:
        """The flags that a restore has yet to give."""
        return LateFlags.of(fields) if (fields := _read(self._late_flags, "rows")) else None

    def note_late_flags(self, late: LateFlags) -> None:
        """Note them, before what was built is swapped in."""
        _write(self._late_flags, asdict(late))

    def forget_late_flags(self) -> None:
        """They were given, or are told as not restored."""
        remove_file(self._late_flags)

    def put_aside(self) -> tuple[MadeFolder, ...]:
        """What restores have put aside, oldest first."""
        return tuple(MadeFolder.of(fields) for fields in _read(self._put_aside, "folders").get("folders", []))

    def note_put_aside(self, made: MadeFolder) -> None:
        """Note one, before anything is moved into it; a later note of the same path replaces it."""
        self._write_put_aside([*(row for row in self.put_aside() if row.path != made.path), made])

    def note_only_copies(self, path: str, only_copies: tuple[str, ...]) -> None:
        """Note what is in it that no backup has."""
        self._write_put_aside(
            replace(row, only_copies=only_copies) if row.path == path else row for row in self.put_aside()
        )

    def forget_put_aside(self, path: str) -> None:
        """It is gone."""
        if left := [row for row in self.put_aside() if row.path != path]:
            self._write_put_aside(left)
        else:
            remove_file(self._put_aside)

    def _write_put_aside(self, rows: Iterable[MadeFolder]) -> None:
        _write(self._put_aside, {"folders": [asdict(row) for row in rows]})


def _read(place: Path, needed: str) -> dict[str, Any]:
    try:
        fields = json.loads(place.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise LocalStorageError(
            f"The record {place} cannot be read ({problem}), so that nobody knows what a restore has left half done; "
            "look at the state folder and what lies beside it, then remove the record."
        ) from problem
    if not isinstance(fields, dict) or needed not in fields:
        raise LocalStorageError(f"The record {place} is no record of a restore; look at it, then remove it.")
    return fields


def _write(place: Path, fields: dict[str, Any]) -> None:
    replace_file(place, [json.dumps(fields).encode()])
