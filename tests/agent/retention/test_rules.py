import itertools
from datetime import datetime, timedelta

import pytest

from openclaw_agent.retention.policy import Action, Rule, Snapshot, latest_is_complete, plan_retention
from openclaw_agent.retention.tiers import TIERS, Period, Share, Tier, tier_row
from tests.support.snapshot_series import FRIDAY, complete, every_20_minutes, kept_by_the_table, kept_names, utc

NOTES_NOW = utc("2026-02-27T14:10")


@pytest.mark.parametrize(
    ("now", "names", "kept"),
    [
        pytest.param(
            NOTES_NOW,
            ["2026-02-27-14-00", "2026-02-27-13-00", "2026-02-26-14-00"],
            {"2026-02-27-14-00", "2026-02-27-13-00", "2026-02-26-14-00"},
            id="the notes' listing: two of today, and the only one of yesterday",
        ),
        pytest.param(
            NOTES_NOW,
            ["2026-02-27-14-00", "2026-02-27-13-00", "2026-02-26-14-00", "2026-02-26-00-00"],
            {"2026-02-27-14-00", "2026-02-27-13-00", "2026-02-26-00-00"},
            id="the notes' listing with yesterday's midnight",
        ),
        pytest.param(
            NOTES_NOW,
            ["2026-02-26-14-10", "2026-02-26-14-09", "2026-02-26-00-00"],
            {"2026-02-26-00-00"},
            id="24 h old to the minute is daily",
        ),
        pytest.param(
            NOTES_NOW,
            ["2026-02-26-14-11", "2026-02-26-14-10", "2026-02-26-00-00"],
            {"2026-02-26-14-11", "2026-02-26-00-00"},
            id="a minute younger than 24 h is kept",
        ),
        pytest.param(
            utc("2026-03-06T00:00"),
            ["2026-02-27-00-00", "2026-02-27-12-00", "2026-02-28-00-00"],
            {"2026-02-27-00-00", "2026-02-28-00-00"},
            id="Friday at exactly 7 days is weekly and stays",
        ),
        pytest.param(
            utc("2026-03-07T00:00"),
            ["2026-02-27-00-00", "2026-02-28-00-00", "2026-03-01-00-00"],
            {"2026-02-27-00-00", "2026-03-01-00-00"},
            id="Saturday at exactly 7 days is represented by Friday",
        ),
        pytest.param(
            utc("2026-03-28T23:59"),
            ["2026-02-27-00-00"],
            {"2026-02-27-00-00"},
            id="a Friday is kept until it is 30 days old",
        ),
        pytest.param(utc("2026-03-29T00:00"), ["2026-02-27-00-00"], set(), id="30 days old to the minute is deleted"),
        pytest.param(
            utc("2026-03-02T12:00"),
            ["2026-02-26-09-20", "2026-02-26-09-40", "2026-02-26-18-00"],
            {"2026-02-26-09-20"},
            id="off at midnight: the day's earliest stands for it",
        ),
        pytest.param(
            utc("2026-03-12T12:00"),
            ["2026-03-01-09-20", "2026-03-03-00-00", "2026-03-04-00-00"],
            {"2026-03-01-09-20"},
            id="off on Friday: the week's earliest stands for it",
        ),
        pytest.param(
            utc("2026-03-06T06:00"),
            ["2026-02-27-00-00", "2026-02-27-12-00"],
            {"2026-02-27-00-00"},
            id="7 days cut through a day: what is still daily is not promoted",
        ),
        pytest.param(
            utc("2026-03-07T06:00"),
            ["2026-02-27-00-00", "2026-02-28-00-00", "2026-02-28-12-00"],
            {"2026-02-27-00-00"},
            id="the day's representative left for the week's tier: the rest of the day goes with it",
        ),
        pytest.param(
            utc("2026-03-30T00:00"),
            ["2026-02-27-00-00", "2026-03-02-00-00"],
            set(),
            id="30 days cut through a week: the expired representative promotes nobody",
        ),
        pytest.param(
            utc("2026-02-26T12:00"),
            ["2026-02-19-00-00", "2026-02-18-00-00", "2026-02-13-00-00", "2026-02-12-00-00"],
            {"2026-02-13-00-00", "2026-02-12-00-00"},
            id="weeks start on Friday: Thursday ends one",
        ),
    ],
)
def test_the_policy_keeps(now: datetime, names: list[str], kept: set[str]) -> None:
    assert kept_by_the_table(plan_retention(complete(*names), now, latest_complete=True)) == kept


@pytest.mark.parametrize(
    ("now", "names", "kept"),
    [
        pytest.param(
            utc("2026-03-02T12:00"),
            ["2026-02-26-00-00", "2026-02-26-09-20", "2026-02-28-00-20"],
            {"2026-02-26-00-00"},
            id="a day without a 00:00 snapshot keeps none",
        ),
        pytest.param(
            utc("2026-03-12T12:00"),
            ["2026-02-20-00-00", "2026-02-27-00-20", "2026-02-28-00-00"],
            {"2026-02-20-00-00"},
            id="a week without a Friday 00:00 snapshot keeps none",
        ),
        pytest.param(
            utc("2026-03-02T12:00"),
            ["2026-03-02-11-40", "2026-03-01-13-00"],
            {"2026-03-02-11-40", "2026-03-01-13-00"},
            id="the last 24 hours are kept as ever",
        ),
        pytest.param(
            utc("2026-03-02T12:00"),
            ["2026-02-28-00-00-09", "2026-02-28-00-00-40"],
            {"2026-02-28-00-00-09"},
            id="seconds after 00:00 are the 00:00 minute",
        ),
    ],
)
def test_strict_midnight_keeps_literal_midnights_alone(now: datetime, names: list[str], kept: set[str]) -> None:
    plan = plan_retention(complete(*names), now, latest_complete=True, strict_midnight=True)
    assert kept_by_the_table(plan) == kept


def test_an_incomplete_snapshot_never_represents() -> None:
    snapshots = [Snapshot("2026-02-25-00-00", complete=False), *complete("2026-02-25-00-20", "2026-02-25-00-40")]
    assert kept_by_the_table(plan_retention(snapshots, FRIDAY, latest_complete=True)) == {"2026-02-25-00-20"}


@pytest.mark.parametrize(
    ("name", "action"),
    [("2026-02-26-00-00", Action.DELETE), ("2026-02-26-00-01", Action.KEEP), ("2026-01-01-00-00", Action.DELETE)],
    ids=["24 h old", "a minute younger", "expired"],
)
def test_an_incomplete_snapshot_goes_once_it_is_24_h_old(name: str, action: Action) -> None:
    (decision,) = plan_retention([Snapshot(name, complete=False)], FRIDAY, latest_complete=False).decisions
    assert decision.action is action
    assert decision.rule is (Rule.INCOMPLETE if action is Action.DELETE else Rule.IN_THE_MAKING)


@pytest.mark.parametrize("is_complete", [True, False], ids=["complete", "incomplete"])
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("2026-02-27-00-01", Rule.FUTURE),
        ("2099-01-01-00-00", Rule.FUTURE),
        ("before-upgrade", Rule.FOREIGN),
        ("2020-01-01", Rule.FOREIGN),
        ("2020-02-30-00-00", Rule.FOREIGN),
    ],
)
def test_foreign_names_and_the_future_are_never_touched(name: str, rule: Rule, is_complete: bool) -> None:
    (decision,) = plan_retention([Snapshot(name, is_complete)], FRIDAY, latest_complete=True).decisions
    assert (decision.action, decision.rule, decision.tier) == (Action.KEEP, rule, None)


def test_the_newest_complete_snapshot_survives_any_age_while_latest_is_not_complete() -> None:
    snapshots = [*complete("2025-01-03-00-00", "2025-01-03-08-20"), Snapshot("2025-01-04-00-00", complete=False)]
    plan = plan_retention(snapshots, FRIDAY, latest_complete=False)
    assert kept_names(plan) == {"2025-01-03-08-20"}
    assert plan.kept[0].rule is Rule.NEWEST_COMPLETE


@pytest.mark.parametrize("days", [2, 8, 31, 40, 400], ids="a pause of {} days".format)
def test_after_a_pause_of_any_length_the_newest_snapshot_of_before_stays_until_a_newer_one_is_a_day_old(
    days: int,
) -> None:
    before = every_20_minutes(FRIDAY, timedelta(days=3))
    resumed = FRIDAY + timedelta(days=days)
    floor = before[0].name
    for hours in (0, 1, 23):
        since = every_20_minutes(resumed + timedelta(hours=hours), timedelta(hours=hours))
        plan = plan_retention([*before, *since], resumed + timedelta(hours=hours), latest_complete=True)
        assert floor in kept_names(plan)
    later = resumed + timedelta(days=40)
    plan = plan_retention([*before, *every_20_minutes(later, timedelta(days=40))], later, latest_complete=True)
    assert floor not in kept_names(plan)


def test_what_stays_as_the_floor_says_so() -> None:
    plan = plan_retention(complete("2025-01-03-00-00", "2025-01-03-08-20"), FRIDAY, latest_complete=True)
    assert [(row.snapshot.name, row.rule, row.reason) for row in plan.kept] == [
        ("2025-01-03-08-20", Rule.FLOOR, "newest complete snapshot that is 24 h old or older: always stays")
    ]


def test_a_doubtful_snapshot_stands_for_its_day_only_where_there_is_no_other() -> None:
    doubtful = [Snapshot(f"2026-02-{day}-00-00", complete=True, doubtful=True) for day in (24, 25)]
    plan = plan_retention([*doubtful, *complete("2026-02-25-09-00", "2026-02-25-12-00")], FRIDAY, latest_complete=True)
    assert kept_by_the_table(plan) == {"2026-02-24-00-00", "2026-02-25-09-00"}


def test_a_doubtful_snapshot_is_the_floor_only_where_there_is_no_other() -> None:
    doubtful = Snapshot("2026-01-20-00-00", complete=True, doubtful=True)
    plan = plan_retention([*complete("2025-01-03-00-00"), doubtful], FRIDAY, latest_complete=True)
    assert kept_names(plan) == {"2025-01-03-00-00"}
    assert kept_names(plan_retention([doubtful], FRIDAY, latest_complete=True)) == {doubtful.name}


def test_an_incomplete_a_quarantined_and_a_foreign_one_are_no_floor() -> None:
    others = [
        Snapshot("2026-01-20-00-00", complete=False),
        Snapshot("2026-01-21-00-00", complete=True, quarantined=True),
        *complete("by-hand"),
    ]
    plan = plan_retention([*complete("2025-01-03-00-00"), *others], FRIDAY, latest_complete=True)
    assert kept_names(plan) == {"2025-01-03-00-00", "by-hand"}


def test_a_snapshot_of_the_future_or_a_foreign_folder_does_not_count_as_the_restore_point() -> None:
    snapshots = complete("2025-01-03-00-00", "2099-01-01-00-00", "by-hand")
    assert "2025-01-03-00-00" in kept_names(plan_retention(snapshots, FRIDAY, latest_complete=False))


def test_the_guarded_snapshot_keeps_its_period_s_representative_so_that_it_never_becomes_that() -> None:
    # 12:00 is guarded at t1; were 00:00 deleted then, 12:00 would represent its day once the guard has moved on.
    snapshots = complete("2026-02-21-00-00", "2026-02-21-12-00", "2026-02-20-00-00")
    t1, t2 = utc("2026-02-28T06:00"), utc("2026-02-28T09:00")
    at_t1 = plan_retention(snapshots, t1, latest_complete=False)
    assert {decision.snapshot.name: decision.rule for decision in at_t1.kept} == {
        "2026-02-21-12-00": Rule.NEWEST_COMPLETE,
        "2026-02-21-00-00": Rule.NEWEST_COMPLETE_PERIOD,
        "2026-02-20-00-00": Rule.REPRESENTATIVE,
    }
    newer = complete("2026-02-28-08-00")
    survivors = [decision.snapshot for decision in at_t1.kept]
    in_two_steps = kept_names(plan_retention(survivors + newer, t2, latest_complete=False))
    assert in_two_steps == kept_names(plan_retention(snapshots + newer, t2, latest_complete=False))
    assert in_two_steps == {"2026-02-20-00-00", "2026-02-21-00-00", "2026-02-21-12-00", "2026-02-28-08-00"}
    # A day later the newer one is the floor.
    t3 = utc("2026-03-01T09:00")
    in_three = kept_names(plan_retention(survivors + newer, t3, latest_complete=True))
    assert in_three == kept_names(plan_retention(snapshots + newer, t3, latest_complete=True))
    assert in_three == {"2026-02-20-00-00", "2026-02-28-08-00"}


def test_quarantined_snapshots_are_a_series_of_their_own() -> None:
    aside = [Snapshot(f"2026-02-25-{time}", complete=True, quarantined=True) for time in ("00-00", "00-20")]
    plan = plan_retention([*aside, *complete("2026-02-25-00-40", "2026-02-25-01-00")], FRIDAY, latest_complete=True)
    kept = [decision for decision in plan.kept if decision.rule is Rule.REPRESENTATIVE]
    assert {decision.snapshot.name: decision.reason for decision in kept} == {
        "2026-02-25-00-40": "represents the UTC day 2026-02-25: its earliest complete snapshot",
        "2026-02-25-00-00": "represents the UTC day 2026-02-25 among quarantined ones: its 00:00 snapshot",
    }


def test_a_quarantined_snapshot_is_never_the_last_restore_point() -> None:
    aside = Snapshot("2025-01-04-00-00", complete=True, quarantined=True)
    plan = plan_retention([aside, *complete("2025-01-03-00-00")], FRIDAY, latest_complete=False)
    assert kept_names(plan) == {"2025-01-03-00-00"}
    assert latest_is_complete("2025-01-03-00-00", [aside])


def test_every_decision_says_why_in_the_docs_words() -> None:
    snapshots = [
        *complete("2026-02-26-23-40", "2026-02-25-12-00", "2026-02-25-00-00", "2026-02-24-07-20", "2026-02-13-00-00"),
        *complete("2026-02-14-00-00", "2026-01-01-00-00", "2026-02-25-06-00"),
    ]
    plan = plan_retention(snapshots, FRIDAY, latest_complete=True)
    assert [(decision.snapshot.name, decision.action.value, decision.reason) for decision in plan.decisions] == [
        ("2026-02-26-23-40", "keep", "younger than 24 h: keep all"),
        ("2026-02-25-12-00", "keep", "newest complete snapshot that is 24 h old or older: always stays"),
        ("2026-02-25-06-00", "delete", "the UTC day 2026-02-25 is represented by 2026-02-25-00-00"),
        ("2026-02-25-00-00", "keep", "represents the UTC day 2026-02-25: its 00:00 snapshot"),
        ("2026-02-24-07-20", "keep", "represents the UTC day 2026-02-24: its earliest complete snapshot"),
        ("2026-02-14-00-00", "delete", "the week of Friday 2026-02-13 is represented by 2026-02-13-00-00"),
        ("2026-02-13-00-00", "keep", "represents the week of Friday 2026-02-13: its Friday 00:00 snapshot"),
        ("2026-01-01-00-00", "delete", "30 days and older: delete"),
    ]


def test_snapshots_are_deleted_newest_first_so_that_a_run_cut_short_promotes_nobody() -> None:
    plan = plan_retention(every_20_minutes(FRIDAY, timedelta(days=40)), FRIDAY, latest_complete=True)
    names = [decision.snapshot.name for decision in plan.removed]
    assert names == sorted(names, reverse=True)
    assert len(names) + len(plan.kept) == 40 * 72


def test_now_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="has no time zone; ages are measured in UTC"):
        plan_retention([], FRIDAY.replace(tzinfo=None), latest_complete=True)


def test_a_name_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'2026-02-27-14-00' is listed twice"):
        plan_retention(complete("2026-02-27-14-00", "2026-02-27-14-00"), FRIDAY, latest_complete=True)


def test_the_first_year_of_the_calendar_overflows_nothing() -> None:
    names = [f"0001-01-{day:02d}-00-00" for day in range(1, 31)]
    assert kept_names(plan_retention(complete(*names), FRIDAY, latest_complete=True)) == {"0001-01-30-00-00"}


@pytest.mark.parametrize(
    ("latest", "newest", "whole"),
    [
        ("2026-02-27-14-00", "2026-02-27-14-00", True),
        ("2026-02-27-14-20", "2026-02-27-14-00", True),
        ("2026-02-27-13-40", "2026-02-27-14-00", False),
        (None, "2026-02-27-14-00", False),
        ("by-hand", "2026-02-27-14-00", False),
        ("2026-02-27-13-40", "by-hand", True),
    ],
    ids=["same", "newer", "older: torn or stale", "no manifest", "no name", "foreign folders do not count"],
)
def test_latest_is_complete_while_no_complete_snapshot_is_newer(latest: str | None, newest: str, whole: bool) -> None:
    snapshots = [*complete("2026-02-26-00-00", newest), Snapshot("2026-02-27-15-00", complete=False)]
    assert latest_is_complete(latest, snapshots) is whole


def test_the_tiers_cover_every_age_once() -> None:
    assert [row.from_age for row in TIERS] == sorted({row.from_age for row in TIERS})
    assert tier_row(timedelta(0)).tier is Tier.RECENT
    assert tier_row(timedelta(days=9999)).tier is Tier.EXPIRED
    with pytest.raises(ValueError, match="negative"):
        tier_row(timedelta(microseconds=-1))


def test_the_rows_have_what_history_independence_rests_on() -> None:
    for row, following in itertools.pairwise(TIERS):
        if isinstance(row.keeps, Period):
            assert following.from_age - row.from_age >= timedelta(days=row.keeps.days)
    days = [FRIDAY + timedelta(days=day) for day in range(-20, 20)]
    periods = [row.keeps for row in TIERS if isinstance(row.keeps, Period)]
    for finer, coarser in itertools.pairwise(periods):
        for one, other in itertools.product(days, days):
            if finer.number(one) == finer.number(other):
                assert coarser.number(one) == coarser.number(other)
    assert [row.keeps for row in TIERS if isinstance(row.keeps, Share)] == [Share.ALL, Share.NONE]


def test_of_a_hundred_thousand_snapshots_the_last_month_decides() -> None:
    snapshots = every_20_minutes(FRIDAY, timedelta(minutes=20 * 100_000))
    plan = plan_retention(snapshots, FRIDAY, latest_complete=False)
    assert len(plan.decisions) == 100_000
    last_month = every_20_minutes(FRIDAY, timedelta(days=31))
    assert kept_names(plan) == kept_names(plan_retention(last_month, FRIDAY, latest_complete=False))
