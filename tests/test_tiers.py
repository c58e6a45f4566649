"""Tests are told apart by what they ask for, so that no slow one hides among the unit tests."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiers import SERVERS

TESTS = Path(__file__).parent


def fixtures_that_hand_out_a_server() -> Iterator[tuple[str, str]]:
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.FunctionDef) or node.returns is None:
                continue
            is_fixture = any("pytest.fixture" in ast.unparse(decorator) for decorator in node.decorator_list)
            if is_fixture and "EmbeddedAws" in ast.unparse(node.returns):
                yield node.name, f"{path.relative_to(TESTS)}:{node.lineno}"


def test_every_fixture_that_hands_out_a_server_marks_the_tests_that_use_it() -> None:
    found = list(fixtures_that_hand_out_a_server())
    assert found
    assert [(name, where) for name, where in found if name not in SERVERS] == []


def test_a_test_without_a_server_carries_no_marker(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("moto") is None


@pytest.mark.usefixtures("aws")
def test_a_test_that_asks_for_a_server_carries_the_marker(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("moto") is not None


@pytest.fixture
def aws() -> None:
    """Only the name counts here: starting a server would prove nothing more."""
