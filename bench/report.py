"""Make docs/benchmarks.md and its drawings out of what bench/suite.py measured.

Run: python bench/report.py [--results FILE] [--docs FOLDER]
Seconds are medians over the runs with the smallest and the largest; a ratio is the program's median over the agent's:
above 1 the agent is the faster.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

ROOT = Path(__file__).resolve().parents[1]
AGENT = "the agent"
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bar:
    """One program in one cycle: medians over its runs; seconds have their smallest and largest."""

    program: str
    seconds: float
    fastest: float
    slowest: float
    cpu_seconds: float
    peak_mib: float
    requests: int
    up_mib: float
    usd: float
    ratio: float
    failures: Sequence[str]


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle with its programs."""

    name: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Table:
    """One state behind one line."""

    files: int
    database_mib: int
    line_ms: float
    runs: int
    cycles: Sequence[Cycle]

    @property
    def title(self) -> str:
        """Its heading."""
        database = f" and a database of {self.database_mib} MiB" if self.database_mib else ""
        return f"{self.files:,} files{database}, {self.line_ms:g} ms"

    @property
    def drawing(self) -> str:
        """The name of its drawing."""
        return f"benchmarks-{self.files}-{self.database_mib}-{self.line_ms:g}ms.svg"


def tables_of(rows: Sequence[Mapping[str, Any]]) -> list[Table]:
    """Group the rows by state and line, in the order in which they were measured."""
    groups: dict[tuple[int, int, float], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["files"], row["database_mib"], row["line_ms"]), []).append(row)
    return [
        Table(files, database, line, max(row["run"] for row in group), _cycles_of(group))
        for (files, database, line), group in groups.items()
    ]


def _cycles_of(rows: Sequence[Mapping[str, Any]]) -> list[Cycle]:
    cycles: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        cycles.setdefault(row["cycle"], {}).setdefault(row["program"], []).append(row)
    return [
        Cycle(
            name, [_bar_of(program, of_it, _median(programs[AGENT], "seconds")) for program, of_it in programs.items()]
        )
        for name, programs in cycles.items()
    ]


def _bar_of(program: str, rows: Sequence[Mapping[str, Any]], of_the_agent: float) -> Bar:
    seconds = [row["seconds"] for row in rows]
    return Bar(
        program,
        _median(rows, "seconds"),
        min(seconds),
        max(seconds),
        _median(rows, "cpu_seconds"),
        _median(rows, "peak_mib"),
        round(statistics.median(sum(row["requests"].values()) for row in rows)),
        _median(rows, "bytes_up") / MIB,
        _median(rows, "usd"),
        _median(rows, "seconds") / of_the_agent,
        sorted({row["failure"] for row in rows if row["failure"]}),
    )


def _median(rows: Sequence[Mapping[str, Any]], column: str) -> float:
    return float(statistics.median(row[column] for row in rows))


def main() -> int:
    """Write the page and its drawings; drawings of tables that are gone are removed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / ".cache" / "bench" / "results.json")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    chosen = parser.parse_args()
    measured = json.loads(chosen.results.read_text())
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "bench"),
        autoescape=jinja2.select_autoescape(enabled_extensions=("svg.j2",)),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    tables = tables_of(measured["rows"])
    for old in chosen.docs.glob("benchmarks-*.svg"):
        old.unlink()
    for table in tables:
        drawing = templates.get_template("chart.svg.j2").render(table=table)
        (chosen.docs / table.drawing).write_text(drawing)
    page = templates.get_template("benchmarks.md.j2").render(
        tables=tables, machine=measured["machine"], versions=measured["versions"]
    )
    (chosen.docs / "benchmarks.md").write_text(page)
    print(f"{chosen.docs / 'benchmarks.md'}: {len(tables)} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main())
