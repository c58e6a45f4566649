import json
from datetime import timedelta
from pathlib import Path

import pytest

from openclaw_agent.retention.policy import Snapshot, plan_retention
from openclaw_agent.retention.report import (
    age_words,
    retention_document,
    retention_policy_table,
    retention_sentence,
    retention_table,
)
from tests.support.snapshot_series import FRIDAY, complete, every_20_minutes, utc

GOLDEN = Path(__file__).parent / "golden"
NOW = utc("2026-03-29T00:10")
MIXED = [
    *complete("2026-03-28-23-40", "2026-03-28-00-00", "2026-03-27-12-00", "2026-03-27-00-00", "2026-03-20-09-20"),
    Snapshot("2026-03-29-00-00", complete=False),
    Snapshot("2026-03-27-11-40-07", complete=False),
    *complete("2026-02-20-00-00", "2027-01-01-00-00", "before-upgrade", "red\x1b[31m"),
]


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8")


def test_the_table_has_a_line_for_every_snapshot() -> None:
    plan = plan_retention(MIXED, NOW, latest_complete=True)
    text = f"{retention_table(plan)}\n\n{retention_sentence(plan, dry_run=True)}\n"
    assert text == golden("every-kind-of-decision.txt")


def test_the_document_has_what_the_table_has_and_is_json() -> None:
    plan = plan_retention(MIXED[:3] + MIXED[-2:-1], NOW, latest_complete=False)
    text = json.dumps(retention_document(plan), indent=2, ensure_ascii=False)
    assert f"{text}\n" == golden("retention-document.json")


def test_a_month_s_table_has_a_line_for_each_of_its_snapshots() -> None:
    month = every_20_minutes(NOW, timedelta(days=30))
    lines = retention_table(plan_retention(month, NOW, latest_complete=True)).splitlines()
    assert len(lines) == 1 + 30 * 72
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("names", "latest_complete", "dry_run", "sentence"),
    [
        ([], True, True, "There is no snapshot, so nothing to delete."),
        (["2026-02-27-00-00"], True, True, "Nothing to delete: 1 snapshot stays (1 recent)."),
        (
            ["2026-02-27-00-00", "2026-02-26-00-00", "2026-01-01-00-00"],
            True,
            True,
            "Would delete 1 of 3 snapshots and keep 2 (1 recent, 1 daily).",
        ),
        (
            ["2026-02-27-00-00", "2026-02-26-00-00", "2026-01-01-00-00"],
            True,
            False,
            "Deleting 1 of 3 snapshots and keeping 2 (1 recent, 1 daily).",
        ),
        (
            ["2026-01-02-00-00", "2026-01-01-00-00"],
            False,
            False,
            "Deleting 1 of 2 snapshots and keeping 1 (1 expired). "
            "2026-01-02-00-00 stays only because latest/ is not complete.",
        ),
    ],
    ids=["none", "nothing to delete", "dry run", "run", "guarded"],
)
def test_the_sentence_says(names: list[str], latest_complete: bool, dry_run: bool, sentence: str) -> None:
    plan = plan_retention(complete(*names), FRIDAY, latest_complete=latest_complete)
    assert retention_sentence(plan, dry_run=dry_run) == sentence


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(0), "0 min"),
        (timedelta(minutes=40, seconds=59), "40 min"),
        (timedelta(hours=23, minutes=59), "23 h 59 min"),
        (timedelta(days=6, hours=23, minutes=59), "6 d 23 h"),
        (timedelta(minutes=-5), "in 5 min"),
        (timedelta(days=-300), "in 300 d 0 h"),
    ],
)
def test_an_age_is_worded_in_its_two_largest_units(age: timedelta, words: str) -> None:
    assert age_words(age) == words


def test_the_docs_table_is_the_policy() -> None:
    assert retention_policy_table() == "\n".join(
        [
            "| Age | Tier | Policy |",
            "|-----|------|--------|",
            "| younger than 24 h | recent | keep all |",
            "| 24 h to 7 days | daily | keep one for each UTC day, its 00:00 snapshot |",
            "| 7 to 30 days | weekly | keep one for each week, its Friday 00:00 snapshot |",
            "| 30 days and older | expired | delete |",
        ]
    )
