"""The glossary and the pages of docs/ name places that exist."""

import ast
import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
AGENT = REPOSITORY / "scripts" / "openclaw_agent"


def test_each_term_of_the_glossary_is_somewhere_in_the_code() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([^`]+)` \|$", (REPOSITORY / "docs/glossary.md").read_text(), re.M)

    assert len(rows) >= 25
    assert [term for term, _, place in rows if not any((root / place).exists() for root in (AGENT, REPOSITORY))] == []
    assert [term for term, _, _ in rows] == sorted((term for term, _, _ in rows), key=lambda term: term.strip("`"))


def test_the_architecture_page_has_a_row_for_each_room() -> None:
    page = (REPOSITORY / "docs/architecture.md").read_text()
    table = page.split("| Room | Its job |", 1)[1].split("\n\n", 1)[0]

    rooms = {path.parent.name for path in AGENT.glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == rooms


def test_the_index_of_decisions_has_each_record_with_its_title_and_status() -> None:
    folder = REPOSITORY / "docs/adr"
    records = {path.name: path.read_text() for path in sorted(folder.glob("0*.md"))}
    index = re.findall(r"^\| (\d+) \| \[(.+)\]\((\S+)\) \| (.+) \|$", (folder / "README.md").read_text(), re.MULTILINE)

    assert [name for _, _, name, _ in index] == list(records)
    for number, title, name, status in index:
        assert records[name].startswith(f"# {number}. {title}\n\nStatus: {status}\n")
        assert name.startswith(f"{int(number):04d}-")


def test_the_four_walks_are_five_lines_long_at_most() -> None:
    walks = (REPOSITORY / "CONTRIBUTING.md").read_text().split("## Four walks\n", 1)[1].split("\n## ", 1)[0]
    answers = [part for part in walks.strip().split("\n\n") if part.strip()]

    assert len(answers) == 4
    assert all(answer.startswith("**") and "?**" in answer for answer in answers)
    assert all(len(answer.splitlines()) <= 5 for answer in answers)


def test_what_coverage_does_not_reach_is_named_by_files_and_functions_that_exist() -> None:
    page = (REPOSITORY / "docs/agent-coverage.md").read_text()
    cells = re.findall(r"^\| (`[^|]+) \|", page.split("| Not reached |", 1)[1], re.MULTILINE)
    rows = [
        (file, name)
        for cell in cells
        for file, names in re.findall(r"`([\w/]+\.py)`((?: ?,? ?`\w+`)+)", cell)
        for name in re.findall(r"`(\w+)`", names)
    ]

    assert len(rows) > len(cells)
    for file, name in rows:
        tree = ast.parse((AGENT / file).read_text())
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (file, name)
