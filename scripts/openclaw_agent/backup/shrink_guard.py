"""Guards that keep a good `latest/` from being replaced by a state that looks like an accident. Pure."""

from collections.abc import Iterable

from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest
from openclaw_agent.state_dir.exclusions import Exclusions

# Half of the files gone between two backups is no everyday clean-up; below this many files a half means little.
SHRINK_FRACTION = 0.5
SHRINK_MIN_FILES = 4


def shrink_refusal(files_now: int, files_before: int | None) -> str | None:
    """Why a state of `files_now` files must not replace one of `files_before`, or None when it may."""
    if files_before is None or files_before == 0:
        return None
    if files_now == 0:
        return f"the state folder is empty, the last backup held {files_before} files"
    if files_before >= SHRINK_MIN_FILES and files_now <= files_before * SHRINK_FRACTION:
        return f"the state folder holds {files_now} files, the last backup held {files_before}"
    return None


def comparable_files(now: Iterable[Entry], base: Manifest, exclusions: Exclusions) -> tuple[int, int]:
    """How many files there are now, and were in `base`, of what the rules of then and those of now both keep.

    A change of rules is no loss of files, nor does it hide one.
    """
    left_out_then = {row.path for row in (*base.excluded, *base.skipped)}
    files_now = sum(
        1
        for row in now
        if row.kind is EntryKind.FILE and not any(path in left_out_then for path in _with_parents(row.path))
    )
    folders: dict[str, bool] = {}

    def is_left_out(path: str, *, is_folder: bool) -> bool:
        parent = path.rpartition("/")[0]
        if parent and parent not in folders:
            folders[parent] = is_left_out(parent, is_folder=True)
        return folders.get(parent, False) or exclusions.reason_for(path, is_folder=is_folder) is not None

    files_before = sum(
        1 for row in base.entries if row.kind is EntryKind.FILE and not is_left_out(row.path, is_folder=False)
    )
    return files_now, files_before


def _with_parents(path: str) -> Iterable[str]:
    parts = path.split("/")
    return ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
