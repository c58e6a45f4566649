"""No test knows a private name: it breaks on a fault, not on a rename."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
FILES = sorted(TESTS.rglob("*.py"))
PRIVATE = re.compile(r"_(?!_)\w*")
PRIVATE_OF_A_MODULE = re.compile(r"[a-z_]\w*(\.\w+)*\._(?!_)\w+(\.\w+)*")
OURS = {"openclaw_agent", "operator_tools", "openclaw_platform", "openclaw_ec2_spot", "lab", "make", "bench", "tests"}
# What others call so although it is meant for use.
PUBLIC_ALL_THE_SAME = {"_exit", "_fields"}


def private_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Lines and private names that are read of, or patched in, something that is not the test's own `self` or `cls`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and not _is_own(node.value):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS:
            yield from ((node.lineno, name.name) for name in node.names if _is_private(name.name))
        elif isinstance(node, ast.Call | ast.Tuple):
            words = [
                row.value
                for row in (node.args if isinstance(node, ast.Call) else node.elts)[:2]
                if isinstance(row, ast.Constant) and isinstance(row.value, str)
            ]
            yield from (
                (node.lineno, word)
                for word in words
                if PRIVATE_OF_A_MODULE.fullmatch(word) or (PRIVATE.fullmatch(word) and _names_an_attribute(node, word))
            )


def _is_private(name: str) -> bool:
    return bool(PRIVATE.fullmatch(name)) and name != "_" and name not in PUBLIC_ALL_THE_SAME


def _is_own(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id in ("self", "cls")


def _names_an_attribute(node: ast.Call | ast.Tuple, word: str) -> bool:
    rows = node.args if isinstance(node, ast.Call) else node.elts
    second = rows[1] if len(rows) > 1 else None
    return (
        isinstance(rows[0], ast.Name | ast.Attribute)
        and isinstance(second, ast.Constant)
        and second.value == word
        and _is_private(word)
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_no_test_reads_or_patches_a_private_name(file: Path) -> None:
    assert list(private_names(ast.parse(file.read_text()))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("monkeypatch.setattr(module, '_fold', fails)", ["_fold"]),
        ("mock.patch.object(store._s3, 'get_object')", ["_s3"]),
        ("mock.patch('openclaw_agent.store.bulk._part_bytes')", ["openclaw_agent.store.bulk._part_bytes"]),
        ("mock.patch('openclaw_agent.store.bulk._Store.send')", ["openclaw_agent.store.bulk._Store.send"]),
        ("STEPS = ((os, 'replace'), (clone, '_copy_bytes'))", ["_copy_bytes"]),
        ("from openclaw_agent.sqlite.check import _fold, check", ["_fold"]),
        ("module._identities(root)", ["_identities"]),
        ("self._left -= 1; os._exit(0); NAMES._fields", []),
        ("monkeypatch.setattr(subprocess.Popen, '__init__', forbidden)", []),
        ("row.split('_', 1)", []),
        ("f(name, '_')", []),
    ],
)
def test_the_check_finds_what_it_is_for(text: str, found: list[str]) -> None:
    assert [name for _, name in private_names(ast.parse(text))] == found
