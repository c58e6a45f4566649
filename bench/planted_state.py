"""The state folder that benches back up: many small notes, a thousand to a folder."""

from pathlib import Path

FILES_PER_FOLDER = 1000


def plant(state: Path, files: int) -> None:
    """Write `files` small files into the existing folder `state`."""
    for number in range(files):
        place = note(state, number)
        if number % FILES_PER_FOLDER == 0:
            place.parent.mkdir()
        place.write_text(f"note {number}\n" * (number % 20 + 1))


def change(state: Path, files: int) -> None:
    """Give the first `files` notes another content."""
    for number in range(files):
        note(state, number).write_text(f"changed {number}\n")


def note(state: Path, number: int) -> Path:
    """Where the note of this number lies."""
    return state / f"folder-{number // FILES_PER_FOLDER:04d}" / f"note-{number:06d}.md"
