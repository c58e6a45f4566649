"""docs/faults.md names a test for each kind of fault, and each of them exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(
    r"^\| (?!What happened|---)(?P<happened>[^|]+) \| (?P<answer>[^|]+) \| (?P<tests>[^|]+) \|$", re.MULTILINE
)
NODE = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<test>\w+)`")


def rows() -> list[tuple[str, str]]:
    page = (ROOT / "docs/faults.md").read_text()
    return [(row["happened"].strip(), row["tests"]) for row in ROW.finditer(page)]


def functions_of(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize(("happened", "tests"), rows(), ids=[happened[:60] for happened, _ in rows()])
def test_each_kind_of_fault_has_a_test_that_exists(happened: str, tests: str) -> None:
    named = list(NODE.finditer(tests))
    assert named, f"{happened!r} names no test as `tests/…/test_x.py::test_y`"
    for node in named:
        file = ROOT / node["file"]
        assert file.is_file(), f"{happened!r}: there is no {node['file']}"
        assert node["test"] in functions_of(file), f"{happened!r}: {node['file']} has no {node['test']}"


def test_every_line_of_a_table_is_a_row_that_is_checked() -> None:
    page = (ROOT / "docs/faults.md").read_text()
    lines = [
        line for line in page.splitlines() if line.startswith("|") and not re.match(r"\| (What happened|---)", line)
    ]
    assert len(lines) == len(rows())
