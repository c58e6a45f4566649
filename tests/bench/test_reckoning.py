"""What a bench counts as which request, and how it makes a table of its rows."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from report import AGENT, tables_of
from slow_line import kind_of
from suite import Row, same_content


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"PUT /b/k HTTP/1.1\r\nHost: x\r\n", "PUT"),
        (b"PUT /b/k HTTP/1.1\r\nX-Amz-Copy-Source: /b/other\r\n", "COPY"),
        (b"POST /b/k?uploads HTTP/1.1\r\n", "PUT"),
        (b"POST /b?delete HTTP/1.1\r\n", "DELETE"),
        (b"GET /b?list-type=2&prefix=latest%2F HTTP/1.1\r\n", "LIST"),
        (b"GET /b/latest/list HTTP/1.1\r\n", "GET"),
        (b"HEAD /b/k HTTP/1.1\r\n", "HEAD"),
        (b"DELETE /b/k HTTP/1.1\r\n", "DELETE"),
    ],
)
def test_a_request_is_of_the_kind_that_the_bill_has_it_under(head: bytes, kind: str) -> None:
    assert kind_of(head) == kind


def row(program: str, run: int, seconds: float, failure: str = "") -> dict[str, object]:
    measured = Row(10, 0, 20, run, "restore", program, seconds, 0.1, 50.0, {"GET": 3}, 1, 2, 0.0, failure)
    return {name: getattr(measured, name) for name in Row.__slots__}


def test_a_table_has_medians_with_their_spread_and_ratios_to_the_agent() -> None:
    seconds = {AGENT: (2.0, 1.0, 9.0), "peer": (5.0, 4.0, 3.0)}
    rows = [row(name, run, taken) for name, runs in seconds.items() for run, taken in enumerate(runs, 1)]
    (table,) = tables_of(rows)
    (cycle,) = table.cycles
    assert table.runs == 3
    assert [(bar.program, bar.seconds, bar.fastest, bar.slowest, bar.ratio, bar.requests) for bar in cycle.bars] == [
        (AGENT, 2.0, 1.0, 9.0, 1.0, 3),
        ("peer", 4.0, 3.0, 5.0, 2.0, 3),
    ]


def test_a_failure_of_any_run_is_in_the_table() -> None:
    (table,) = tables_of([row(AGENT, 1, 1.0), row("peer", 1, 1.0), row("peer", 2, 1.0, "it has other bytes")])
    assert [bar.failures for bar in table.cycles[0].bars] == [[], ["it has other bytes"]]


def database(place: Path, text: str, *, pages: int) -> None:
    with closing(sqlite3.connect(place)) as opened, opened:
        opened.execute(f"pragma page_size = {pages}")
        opened.execute("create table notes (text)")
        opened.execute("insert into notes values (?)", (text,))


def test_a_restore_is_compared_by_bytes_and_its_databases_by_rows(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, pages in ((one, 4096), (other, 8192)):
        folder.mkdir()
        (folder / "note.md").write_text("same")
        database(folder / "main.sqlite", "same", pages=pages)
    assert (one / "main.sqlite").read_bytes() != (other / "main.sqlite").read_bytes()
    assert same_content(one, other)
    (other / "note.md").write_text("else")
    assert not same_content(one, other)
    (other / "note.md").write_text("same")
    with closing(sqlite3.connect(other / "main.sqlite")) as opened, opened:
        opened.execute("update notes set text = 'else'")
    assert not same_content(one, other)
