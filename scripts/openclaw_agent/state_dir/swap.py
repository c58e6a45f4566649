"""Swapping what was built in for the state folder, or for parts of it, around what must stay.

Where nothing stays the two folders exchange their names in one step of the kernel. Where something is mounted in the
state, where the state is a volume of its own, or where only the disk has a file, the folders on the way to it stay
too: what is beside it moves out, then in. Those steps are noted before they begin; whoever takes the agent's lock next
finishes them, so that a crash leaves no mixture.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw_agent.agent_dir.aside import NOT_MADE_YET, AsideRecords, MadeFolder, Swap
from openclaw_agent.errors import LocalStorageError
from openclaw_agent.fs.atomic import exchange, sync_file_system, sync_folder
from openclaw_agent.fs.attributes import copy_xattrs
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.fs.mounts import is_mount_point
from openclaw_agent.fs.removal import made_mutable, make_mutable, remove_tree
from openclaw_agent.state_dir.exclusions import AGENT_FOLDER
from openclaw_agent.state_dir.parents import opened_parent
from openclaw_agent.state_dir.put_aside import aside_path
from openclaw_agent.state_dir.staging import drop_staging, make_in_work_folder

ALL = ("",)
_REAL_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_OWNER_MAY_ALL = 0o700
# Out of which tree, into which, in which folder of both, and under which name.
_Move = tuple[Path, Path, str, str]


@dataclass(frozen=True, slots=True)
class Replacement:
    """What is replaced (`targets`, paths; "" for all), what of it `stays`, and what of it no backup has."""

    targets: tuple[str, ...] = ALL
    stay: frozenset[str] = frozenset()
    only_copies: tuple[str, ...] = ()


NOTHING_STAYS = Replacement()


def swap_in(
    records: AsideRecords, building: Path, state_dir: Path, replacement: Replacement = NOTHING_STAYS
) -> Path | None:
    """Swap what was built in; return where what it replaced is kept, or None when there was nothing.

    Raises:
        LocalStorageError: when the swap fails; the old state is in place then, and what was built is removed.
    """
    try:
        if replacement.targets == ALL and not os.path.lexists(state_dir):
            building.rename(state_dir)
            sync_folder(state_dir.parent)
            previous = None
        elif replacement.targets == ALL and not replacement.stay and not is_mount_point(state_dir):
            previous = _exchanged(records, building, state_dir, replacement.only_copies)
        else:
            previous = _swapped_around(records, building, state_dir, replacement)
    except OSError as problem:
        drop_staging(records)
        if replacement.targets != ALL:
            raise LocalStorageError(
                f"{replacement.targets[0]!r} cannot be restored ({problem.strerror}); what was there was not changed."
            ) from problem
        raise LocalStorageError(
            f"The restored state cannot be moved to {state_dir} ({problem.strerror}); the old state is in place."
        ) from problem
    drop_staging(records)
    return previous


def finish_interrupted_swap(records: AsideRecords) -> str:
    """Finish what a restore was killed in, and remove what it has built; return a sentence, "" where nothing was.

    Raises:
        LocalStorageError: when it cannot be finished; nothing may use the state then.
    """
    swap = records.swap()
    if swap is not None:
        try:
            _finish(records, swap)
        except OSError as problem:
            raise LocalStorageError(
                f"A restore was cut off while it swapped the state in, and cannot be finished ({problem.strerror}: "
                f"{problem.filename}). What it built lies in {swap.building}, what was there before in {swap.aside}."
            ) from problem
    made = records.staging()
    if made is not None:
        _finish_exchange(records, made)
        drop_staging(records)
    return f"Finished a restore of {swap.state} that was cut off." if swap is not None else ""


def _exchanged(records: AsideRecords, building: Path, state_dir: Path, only_copies: tuple[str, ...]) -> Path:
    previous = aside_path(state_dir)
    records.note_put_aside(MadeFolder(str(previous), state_dir.lstat().st_ino, only_copies))
    try:
        if exchange(building, state_dir):
            try:
                building.rename(previous)
            except OSError:
                exchange(building, state_dir)
                raise
        else:
            state_dir.rename(previous)
            try:
                building.rename(state_dir)
            except OSError:
                previous.rename(state_dir)
                raise
    except OSError:
        records.forget_put_aside(str(previous))
        raise
    sync_folder(state_dir.parent)
    return previous


def _finish_exchange(records: AsideRecords, made: MadeFolder) -> None:
    """Where the names were exchanged and no more: the old state gets the name under which it is kept."""
    place = Path(made.path)
    with contextlib.suppress(OSError):
        inode = place.lstat().st_ino
        for aside in records.put_aside():
            if aside.inode == inode and inode != made.inode and not os.path.lexists(aside.path):
                place.rename(aside.path)
                sync_folder(place.parent)


def _swapped_around(records: AsideRecords, building: Path, state_dir: Path, replacement: Replacement) -> Path | None:
    aside = aside_path(state_dir)
    records.note_put_aside(MadeFolder(str(aside), NOT_MADE_YET))
    records.note_put_aside(MadeFolder(str(aside), make_in_work_folder(aside), replacement.only_copies))
    spine = _spine(replacement, in_place=is_mount_point(state_dir))
    swap = Swap(
        str(state_dir),
        str(building),
        str(aside),
        replacement.targets,
        tuple(sorted(replacement.stay)),
        spine,
        _times(state_dir, spine),
        _times(building, spine),
    )
    records.note_swap(swap)
    done: list[_Move] = []
    try:
        _move_aside(swap, done)
        replaces_something = bool(done)
        sync_file_system(aside)
        swap = replace(swap, moving_in=True)
        records.note_swap(swap)
        _move_in(swap, done)
        sync_file_system(state_dir)
    except BaseException:
        _undo(swap, done)
        records.forget_swap()
        remove_tree(aside)
        records.forget_put_aside(str(aside))
        raise
    records.forget_swap()
    if not replaces_something:
        remove_tree(aside)
        records.forget_put_aside(str(aside))
        return None
    return aside


def _finish(records: AsideRecords, swap: Swap) -> None:
    if not swap.moving_in:
        if not Path(swap.building).is_dir():
            # What was built is gone: what was there comes back.
            _move_in(replace(swap, building=swap.aside, new_times=swap.old_times), [])
            records.forget_swap()
            return
        _move_aside(swap, [])
        sync_file_system(Path(swap.aside))
        swap = replace(swap, moving_in=True)
        records.note_swap(swap)
    if Path(swap.building).is_dir():
        _move_in(swap, [])
        sync_file_system(Path(swap.state))
    records.forget_swap()


def _undo(swap: Swap, done: list[_Move]) -> None:
    for source, target, folder, name in reversed(done):
        with ConfinedDir(source) as before, ConfinedDir(target) as now:
            _rename(now, before, folder, name, [])
    state, aside = Path(swap.state), Path(swap.aside)
    with ConfinedDir(state) as top, ConfinedDir(aside) as kept:
        for folder in reversed(swap.spine):
            with contextlib.suppress(FileNotFoundError):
                _copy_metadata(kept, top, folder, swap.old_times)


def _times(place: Path, spine: tuple[str, ...]) -> dict[str, int]:
    """Now, because each move changes a folder's time."""
    times: dict[str, int] = {}
    with ConfinedDir(place) as top:
        for folder in spine:
            with contextlib.suppress(FileNotFoundError), _opened(top, folder) as handle:
                times[folder] = os.fstat(handle).st_mtime_ns
    return times


def _spine(replacement: Replacement, *, in_place: bool) -> tuple[str, ...]:
    """The folders that stay because something in them does, from the top."""
    folders = {""} if in_place and replacement.targets == ALL else set[str]()
    for target in replacement.targets:
        for path in replacement.stay:
            if path != target and (not target or path.startswith(target + "/")):
                folders.add(target)
                parts = path.split("/")
                depth = target.count("/") + 1 if target else 0
                folders.update("/".join(parts[:count]) for count in range(depth + 1, len(parts)))
    return tuple(sorted(folders, key=lambda path: path.replace("/", "\0")))


def _move_aside(swap: Swap, done: list[_Move]) -> None:
    state, aside = Path(swap.state), Path(swap.aside)
    with ConfinedDir(state) as top, ConfinedDir(aside) as kept:
        for folder in swap.spine:
            with contextlib.suppress(FileNotFoundError), _opened(top, folder):
                kept.make_folders(folder)
                _copy_metadata(top, kept, folder, swap.old_times)
        for path in _movable(swap, top):
            folder, _, name = path.rpartition("/")
            kept.make_folders(folder)
            _rename(top, kept, folder, name, done)


def _move_in(swap: Swap, done: list[_Move]) -> None:
    building = Path(swap.building)
    with ConfinedDir(Path(swap.state)) as top, ConfinedDir(building) as built:
        for path in _movable(swap, built):
            folder, _, name = path.rpartition("/")
            with opened_parent(Path(swap.state), path, building):
                _rename(built, top, folder, name, done)
        # From the bottom, because metadata of what is in a folder changes the folder.
        for folder in reversed(swap.spine):
            with contextlib.suppress(FileNotFoundError):
                _copy_metadata(built, top, folder, swap.new_times)


def _movable(swap: Swap, place: ConfinedDir) -> Iterator[str]:
    """What of a tree is moved: the targets, or, of those that have to stay, what is beside that which stays."""
    left = {*swap.stay, *swap.spine, AGENT_FOLDER}
    for target in swap.targets:
        if target not in left and _is_in(place, target):
            yield target
    for folder in swap.spine:
        with contextlib.suppress(FileNotFoundError), _opened(place, folder) as handle:
            for name in sorted(os.listdir(handle)):  # noqa: PTH208 - a descriptor
                path = f"{folder}/{name}" if folder else name
                if path not in left:
                    yield path


def _is_in(place: ConfinedDir, path: str) -> bool:
    folder, _, name = path.rpartition("/")
    try:
        with _opened(place, folder) as handle:
            os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _rename(source: ConfinedDir, target: ConfinedDir, folder: str, name: str, done: list[_Move]) -> None:
    with _opened(source, folder) as out_of, _opened(target, folder) as into:
        try:
            os.rename(name, name, src_dir_fd=out_of, dst_dir_fd=into)
        except PermissionError:
            # What was made immutable (chattr +i) or read-only is replaced like everything else.
            if made_mutable(name, out_of) | make_mutable(into):
                os.rename(name, name, src_dir_fd=out_of, dst_dir_fd=into)
            else:
                _rename_of_read_only(name, out_of, into)
    done.append((source.path, target.path, folder, name))


def _rename_of_read_only(name: str, out_of: int, into: int) -> None:
    """Rename as an ordinary user, who may not move a folder, nor out of and into one, that is not writable."""
    with contextlib.ExitStack() as held:
        for folder in (out_of, into):
            held.enter_context(_writable(folder))
        if stat.S_ISDIR(os.stat(name, dir_fd=out_of, follow_symlinks=False).st_mode):
            moved = os.open(name, _REAL_FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=out_of)
            held.callback(os.close, moved)
            held.enter_context(_writable(moved))
        os.rename(name, name, src_dir_fd=out_of, dst_dir_fd=into)


@contextlib.contextmanager
def _writable(folder: int) -> Iterator[None]:
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if os.geteuid() == 0 or mode & _OWNER_MAY_ALL == _OWNER_MAY_ALL:
        yield
        return
    os.fchmod(folder, mode | _OWNER_MAY_ALL)
    try:
        yield
    finally:
        os.fchmod(folder, mode)


@contextlib.contextmanager
def _opened(place: ConfinedDir, folder: str) -> Iterator[int]:
    handle = place.open(folder, _REAL_FOLDER)
    try:
        yield handle
    finally:
        os.close(handle)


def _copy_metadata(source: ConfinedDir, target: ConfinedDir, folder: str, times: Mapping[str, int]) -> None:
    """Give a folder the owner, mode and attributes that it has in another tree, and its time."""
    with _opened(source, folder) as like, _opened(target, folder) as made:
        status = os.fstat(like)
        if os.geteuid() == 0:
            os.fchown(made, status.st_uid, status.st_gid)
        with contextlib.suppress(OSError):
            copy_xattrs(like, made)
        os.fchmod(made, stat.S_IMODE(status.st_mode))
        if folder in times:
            os.utime(made, ns=(times[folder], times[folder]))
