"""Hold docs/agent-coverage.md to what was measured: each gap is argued there, and nothing else is.

Run by `make coverage`: python tests/uncovered_lines.py COVERAGE.json [--table]
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "agent-coverage.md"
PACKAGE = "scripts/openclaw_agent/"
_ROW = re.compile(r"^\| `(?P<file>[^`]+\.py)` \| `+ ?(?P<code>.+?) ?`+ \| (?P<why>.+) \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines that no test reaches, or a line that no test leaves one way; known by the text of its first line."""

    file: str
    code: str


def gaps(measured: dict[str, Any]) -> Iterator[Gap]:
    """The gaps of a report of `coverage json`."""
    for name, found in sorted(measured["files"].items()):
        source = (ROOT / name).read_text().splitlines()
        short = name.removeprefix(PACKAGE)
        missing = set(found["missing_lines"])
        for line in sorted(missing):
            if _statement_before(line, found) not in missing:
                yield Gap(short, source[line - 1].strip())
        for start, end in found["missing_branches"]:
            # A way that leads into lines that are missing is told by these lines.
            if start not in missing and abs(end) not in missing:
                yield Gap(short, source[start - 1].strip())


def _statement_before(line: int, found: dict[str, Any]) -> int:
    statements = sorted({*found["executed_lines"], *found["missing_lines"]})
    place = statements.index(line)
    return statements[place - 1] if place else 0


def main() -> int:
    """Print what differs between the document and the measurement; 0 when nothing does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--table", action="store_true", help="print the gaps as rows for the document")
    chosen = parser.parse_args()
    found = set(gaps(json.loads(chosen.report.read_text())))
    if chosen.table:
        for gap in sorted(found, key=lambda gap: (gap.file, gap.code)):
            print(f"| `{gap.file}` | `{gap.code}` | |")
        return 0
    argued = {Gap(row["file"], row["code"]) for row in _ROW.finditer(DOCUMENT.read_text())}
    for gap in sorted(found - argued, key=lambda gap: (gap.file, gap.code)):
        print(f"{gap.file}: no test reaches `{gap.code}` (or leaves it one way), and {DOCUMENT.name} does not say why.")
    for gap in sorted(argued - found, key=lambda gap: (gap.file, gap.code)):
        print(f"{gap.file}: {DOCUMENT.name} argues `{gap.code}`, which the tests reach by now, or which is gone.")
    if found == argued:
        print(f"{len(found)} gaps, each argued in {DOCUMENT.relative_to(ROOT)}.")
    return 0 if found == argued else 1


if __name__ == "__main__":
    sys.exit(main())
