"""A folder that looks like the repository to a person who types, and keeps their stacks' settings out of it."""

from __future__ import annotations

import shutil
from pathlib import Path

PROJECTS = (".", "platform", "ec2_spot")
PROGRAM_FILES = ("Pulumi.yaml", "__main__.py")


def make_working_copy(repository: Path, folder: Path) -> None:
    """Make or renew it: projects of its own, whose packages, scripts and files are the repository's, by symlinks.

    `Pulumi.<stack>.yaml` files, which the CLI writes beside a project's file, stay.
    """
    for project in PROJECTS:
        place, source = folder / project, repository / project
        place.mkdir(parents=True, exist_ok=True)
        for name in PROGRAM_FILES:
            shutil.copyfile(source / name, place / name)
        for found in source.iterdir():
            shared = found.name not in (*PROGRAM_FILES, "ec2-spot", "__pycache__") and not found.name.startswith(
                "Pulumi."
            )
            if shared and found.name not in PROJECTS and not (found.name.startswith(".") and found.name != ".venv"):
                _point(place / found.name, found)
    _point(folder / "ec2-spot", Path("ec2_spot"))
    # Wheels that were fetched once.
    (repository / ".cache").mkdir(exist_ok=True)
    _point(folder / ".cache", repository / ".cache")


def _point(link: Path, target: Path) -> None:
    if link.is_symlink():
        link.unlink()
    link.symlink_to(target)
