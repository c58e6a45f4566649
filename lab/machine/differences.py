"""Reads lab/differences.yaml: how the lab's instance differs from the deployed one, and what is assumed about AWS."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import yaml

from lab.host.errors import InstanceError

LIST = Path(__file__).resolve().parents[1] / "differences.yaml"
REPOSITORY = Path(__file__).resolve().parents[2]
DIFFERENCE = {"what", "why", "files"}
ASSUMPTION = {"assumed", "basis", "shown_by"}


class Basis(StrEnum):
    """What an assumption rests on."""

    DOCUMENTED = "documented"
    SOURCE = "source"
    ISSUES = "issues"
    BELIEVED = "believed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: what it is, why there is one, and the repository's files that make it."""

    what: str
    why: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something about AWS that nobody has verified there, what it rests on, and what would show it."""

    assumed: str
    basis: Basis
    shown_by: str


def read_differences(path: Path = LIST) -> tuple[Difference, ...]:
    """Returns the differences in the order of the file; raises InstanceError naming the row that is not of the form."""
    return tuple(row for row in _rows(path) if isinstance(row, Difference))


def read_assumptions(path: Path = LIST) -> tuple[Assumption, ...]:
    """Returns the assumptions in the order of the file; raises InstanceError naming the row that is not of the form."""
    return tuple(row for row in _rows(path) if isinstance(row, Assumption))


def _rows(path: Path) -> Iterator[Difference | Assumption]:
    rows = yaml.safe_load(path.read_text())
    if not isinstance(rows, list):
        raise InstanceError(f"{path} must be a list of rows with what, why and files.")
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict) and set(row) == ASSUMPTION and row["shown_by"] and row["basis"] in set(Basis):
            yield Assumption(row["assumed"], Basis(row["basis"]), row["shown_by"])
        elif isinstance(row, dict) and set(row) == DIFFERENCE and row["files"]:
            yield Difference(row["what"], row["why"], tuple(map(Path, row["files"])))
        else:
            raise InstanceError(
                f"{path}: row {number} must have what, why and files, or assumed, basis "
                f"({', '.join(Basis)}) and shown_by, and nothing else."
            )
