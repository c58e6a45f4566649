"""No test waits for a fixed time: a busy machine would miss it (`scaled`)."""

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
# There the time-out itself is what is tested, or nobody waits for an answer.
TESTED = {"agent/host/test_metadata_questions.py", "cloud_init/test_gateway_health.py"}


def fixed_deadlines(file: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "timeout" and _is_number(node.value):
            yield node.value.lineno


def _is_number(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, int | float)


def test_no_deadline_of_a_test_is_one_that_a_busy_machine_misses() -> None:
    names = {file: str(file.relative_to(TESTS)) for file in sorted(TESTS.rglob("*.py"))}
    found = {name: lines for file, name in names.items() if (lines := list(fixed_deadlines(file)))}
    assert found.keys() == TESTED, found
