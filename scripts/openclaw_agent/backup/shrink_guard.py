"""Guards that keep a good `latest/` from being replaced by a state that looks like an accident. Pure."""

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
