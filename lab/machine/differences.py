"""Reads lab/differences.yaml: how the lab's instance differs from the deployed one, each row with its reason."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from lab.host.errors import InstanceError

LIST = Path(__file__).resolve().parents[1] / "differences.yaml"
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: what it is, why there is one, and the repository's files that make it."""

    what: str
    why: str
    files: tuple[Path, ...]


def read_differences(path: Path = LIST) -> tuple[Difference, ...]:
    """Returns the rows in the order of the file; raises InstanceError naming the row that is not of the form."""
    rows = yaml.safe_load(path.read_text())
    if not isinstance(rows, list):
        raise InstanceError(f"{path} must be a list of rows with what, why and files.")
    differences = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or set(row) != {"what", "why", "files"} or not row["files"]:
            raise InstanceError(f"{path}: row {number} must have what, why and files, and nothing else.")
        differences.append(Difference(row["what"], row["why"], tuple(map(Path, row["files"]))))
    return tuple(differences)
