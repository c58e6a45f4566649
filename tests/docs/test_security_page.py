"""docs/security.md: each row of an attacker names a test, and each test that the page names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.test_faults import functions_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
NODE = re.compile(r"`(?P<file>tests/[\w/]+\.py)(?:::(?P<test>\w+))?`")
ATTACKERS = ("A hostile gateway", "A stolen role", "A hostile bucket", "The network", "The operator's machine")


@pytest.mark.parametrize("node", sorted({match[0] for match in NODE.finditer(PAGE)}))
def test_each_test_that_is_named_exists(node: str) -> None:
    named = NODE.fullmatch(node)
    assert named is not None
    assert (ROOT / named["file"]).is_file()
    assert named["test"] is None or named["test"] in functions_of(ROOT / named["file"])


@pytest.mark.parametrize("attacker", ATTACKERS)
def test_each_row_of_an_attacker_names_a_test(attacker: str) -> None:
    section = PAGE.partition(f"### {attacker}\n")[2].partition("\n#")[0]
    rows = [row for row in re.findall(r"^\| (?!---|What |Action on |`)(.+) \|$", section, re.MULTILINE) if " | " in row]
    assert len(rows) >= 3
    assert [row for row in rows if not NODE.search(row)] == []


def test_where_secrets_are_is_shown_place_by_place() -> None:
    section = PAGE.partition("## Where secrets are\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (?!---|Place )(.+) \|$", section, re.MULTILINE)
    assert len(rows) == 4
    assert all(NODE.search(row) for row in rows)
