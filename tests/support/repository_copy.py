"""Parts of the repository in a folder of their own, as a test may change or deploy them."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from lab.image.root_image import REPOSITORY


def copy_parts(names: Iterable[str], folder: Path) -> None:
    """Copy these files and folders of the repository, without what Python compiled, into an existing folder."""
    for name in names:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
