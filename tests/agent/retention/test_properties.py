from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from openclaw_agent.retention.policy import Action, Rule, Snapshot, plan_retention
from openclaw_agent.retention.tiers import WEEK, Period, Tier, tier_row
from openclaw_agent.snapshot.names import format_snapshot_name, parse_snapshot_name
from tests.support.samples import examples
from tests.support.snapshot_series import FRIDAY, kept_names, kept_snapshots, utc

HOUR = timedelta(hours=1)
FOREIGN_NAMES = st.sampled_from(["before-upgrade", "2026-02-27", "2026-02-27-00-00-00", "2026-02-31-00-00", "x" * 9])
EDGE_TO_EDGE_DAYS = st.sampled_from([0, 1, 6, 7, 23, 29])
TIER_EDGES = st.sampled_from([0, 24, 7 * 24, 30 * 24])


@st.composite
def ages_in_hours(draw: st.DrawFn) -> int:
    """Draw ages crowded where decisions change: the tiers' edges, neighbouring days, one week, the future."""
    anywhere = st.integers(-200, 1000)
    near_an_edge = st.builds(lambda edge, hours: edge + hours, TIER_EDGES, st.integers(-36, 36))
    one_week_off = st.builds(lambda age, weeks: age + 168 * weeks, near_an_edge, st.integers(-1, 1))
    return draw(st.one_of(near_an_edge, one_week_off, anywhere))


@st.composite
def listings(draw: st.DrawFn) -> list[Snapshot]:
    """Draw what a bucket may hold around `FRIDAY`: complete and incomplete, at midnights and not, foreign names."""
    times = st.builds(lambda age, minutes: FRIDAY - HOUR * age + minutes, ages_in_hours(), minutes_after_the_hour())
    midnights = times.map(lambda instant: instant.replace(hour=0, minute=0, second=0))
    names = st.one_of(times.map(format_snapshot_name), midnights.map(format_snapshot_name), FOREIGN_NAMES)
    is_complete, is_quarantined = (
        st.sampled_from([True, True, True, False]),
        st.sampled_from([False, False, False, True]),
    )
    snapshots = st.builds(Snapshot, names, is_complete, quarantined=is_quarantined)
    return draw(st.lists(snapshots, max_size=9, unique_by=lambda snapshot: snapshot.name))


def minutes_after_the_hour() -> st.SearchStrategy[timedelta]:
    return st.sampled_from([timedelta(0), timedelta(minutes=20), timedelta(minutes=20, seconds=7)])


def clocks() -> st.SearchStrategy[datetime]:
    return st.builds(lambda hours, rest: FRIDAY + HOUR * hours + rest, st.integers(-30, 30), minutes_after_the_hour())


def waits() -> st.SearchStrategy[timedelta]:
    anything = st.integers(0, 800)
    from_edge_to_edge = st.builds(
        lambda days, hours: max(0, 24 * days + hours), EDGE_TO_EDGE_DAYS, st.integers(-40, 40)
    )
    return st.one_of(anything, from_edge_to_edge).map(lambda hours: HOUR * hours)


def complete_times(snapshots: list[Snapshot], now: datetime, *, quarantined: bool) -> list[datetime]:
    series = [item.name for item in snapshots if item.complete and item.quarantined is quarantined]
    return [at for name in series if (at := parse_snapshot_name(name)) is not None and at <= now]


def named(*names: str) -> list[Snapshot]:
    return [Snapshot(name, complete=True) for name in names]


@settings(max_examples=examples(300), deadline=None)
@given(listings(), clocks(), waits(), st.booleans(), st.booleans())
@example(  # the guard ends when a newer snapshot comes: its snapshot must not have become the day's representative
    snapshots=named("2026-02-21-00-00", "2026-02-21-12-00", "2026-02-20-00-00", "2026-02-28-08-00"),
    first=utc("2026-02-28T06:00"),
    wait=3 * HOUR,
    latest_complete=False,
    strict_midnight=False,
)
@example(  # the week's representative has expired while a younger day of its week is not yet 30 days old
    snapshots=named("2026-01-30-00-00", "2026-02-01-00-00"),
    first=utc("2026-02-10T00:00"),
    wait=timedelta(days=19, hours=6),
    latest_complete=True,
    strict_midnight=False,
)
def test_applying_it_at_t1_and_then_t2_leaves_what_applying_it_at_t2_alone_leaves(
    snapshots: list[Snapshot], first: datetime, wait: timedelta, latest_complete: bool, strict_midnight: bool
) -> None:
    def kept(listing: list[Snapshot], now: datetime) -> list[Snapshot]:
        return kept_snapshots(listing, now, latest_complete=latest_complete, strict_midnight=strict_midnight)

    assert kept(kept(snapshots, first), first + wait) == kept(snapshots, first + wait)


@settings(max_examples=examples(150), deadline=None)
@given(listings(), clocks(), waits(), st.booleans())
def test_snapshots_that_arrive_between_two_runs_change_nothing_about_that(
    snapshots: list[Snapshot], first: datetime, wait: timedelta, latest_complete: bool
) -> None:
    second = first + wait
    arriving = [item for item in snapshots if (at := parse_snapshot_name(item.name)) and first < at <= second]
    present = [item for item in snapshots if item not in arriving]
    survivors = kept_snapshots(present, first, latest_complete=latest_complete)
    in_two_steps = kept_snapshots([*survivors, *arriving], second, latest_complete=latest_complete)
    assert in_two_steps == kept_snapshots(snapshots, second, latest_complete=latest_complete)


@settings(max_examples=examples(100), deadline=None)
@given(listings(), clocks(), waits())
def test_a_latest_that_was_not_complete_at_the_first_run_leaves_no_trace_once_it_is(
    snapshots: list[Snapshot], first: datetime, wait: timedelta
) -> None:
    survivors = kept_snapshots(snapshots, first, latest_complete=False)
    assert kept_snapshots(survivors, first + wait) == kept_snapshots(snapshots, first + wait)


@settings(max_examples=examples(100), deadline=None)
@given(listings(), clocks(), st.booleans(), st.booleans())
def test_applying_it_twice_deletes_nothing_more(
    snapshots: list[Snapshot], now: datetime, latest_complete: bool, strict_midnight: bool
) -> None:
    once = kept_snapshots(snapshots, now, latest_complete=latest_complete, strict_midnight=strict_midnight)
    assert kept_snapshots(once, now, latest_complete=latest_complete, strict_midnight=strict_midnight) == once


@settings(max_examples=examples(150), deadline=None)
@given(listings(), clocks(), st.booleans(), st.booleans(), st.data())
def test_a_run_cut_short_and_run_again_ends_the_same(
    snapshots: list[Snapshot], now: datetime, latest_complete: bool, strict_midnight: bool, drawn: st.DataObject
) -> None:
    plan = plan_retention(snapshots, now, latest_complete=latest_complete, strict_midnight=strict_midnight)
    removed = [decision.snapshot for decision in plan.removed]
    cut = drawn.draw(st.integers(0, len(removed)), label="snapshots deleted before the cut")
    half_deleted = removed[cut : cut + 1]  # manifest first: what a broken delete leaves is incomplete
    left = [item for item in snapshots if item not in removed[:cut] and item not in half_deleted]
    left += [replace(item, complete=False) for item in half_deleted]
    again = kept_snapshots(left, now, latest_complete=latest_complete, strict_midnight=strict_midnight)
    assert {item.name for item in again} == kept_names(plan)


@settings(max_examples=examples(150), deadline=None)
@given(listings(), clocks(), st.booleans(), st.booleans())
def test_a_period_never_loses_its_representative_while_its_tier_keeps_it(
    snapshots: list[Snapshot], now: datetime, latest_complete: bool, quarantined: bool
) -> None:
    kept = kept_names(plan_retention(snapshots, now, latest_complete=latest_complete))
    times = complete_times(snapshots, now, quarantined=quarantined)
    for instant in times:
        period = tier_row(now - instant).keeps
        if isinstance(period, Period):
            earliest = min(at for at in times if period.number(at) == period.number(instant))
            if tier_row(now - earliest).keeps is period:
                assert format_snapshot_name(earliest) in kept


@settings(max_examples=examples(150), deadline=None)
@given(listings(), clocks(), waits(), st.booleans(), st.booleans())
def test_the_newest_complete_snapshot_survives_unless_latest_is_complete(
    snapshots: list[Snapshot], first: datetime, wait: timedelta, latest_complete: bool, strict_midnight: bool
) -> None:
    now = first + wait
    kept = kept_names(plan_retention(snapshots, now, latest_complete=latest_complete, strict_midnight=strict_midnight))
    past = complete_times(snapshots, now, quarantined=False)
    if past and not latest_complete:
        assert format_snapshot_name(max(past)) in kept


@settings(max_examples=examples(150), deadline=None)
@given(listings(), clocks(), waits(), st.booleans(), st.booleans())
def test_the_newest_complete_snapshot_that_is_a_day_old_stays_whatever_its_age(
    snapshots: list[Snapshot], first: datetime, wait: timedelta, latest_complete: bool, strict_midnight: bool
) -> None:
    now = first + wait
    kept = kept_names(plan_retention(snapshots, now, latest_complete=latest_complete, strict_midnight=strict_midnight))
    a_day_old = [at for at in complete_times(snapshots, now, quarantined=False) if now - at >= timedelta(hours=24)]
    if a_day_old:
        assert format_snapshot_name(max(a_day_old)) in kept


@settings(max_examples=examples(150), deadline=None)
@given(listings(), clocks(), waits(), st.booleans(), st.booleans())
def test_every_snapshot_gets_one_decision_and_only_what_may_go_goes(
    snapshots: list[Snapshot], first: datetime, wait: timedelta, latest_complete: bool, strict_midnight: bool
) -> None:
    now = first + wait
    plan = plan_retention(snapshots, now, latest_complete=latest_complete, strict_midnight=strict_midnight)
    decided = [decision.snapshot.name for decision in (*plan.kept, *plan.removed)]
    assert sorted(decided) == sorted(item.name for item in snapshots)
    for decision in plan.decisions:
        taken_at = parse_snapshot_name(decision.snapshot.name)
        if taken_at is None or taken_at > now - timedelta(hours=24):
            assert decision.action is Action.KEEP
        if taken_at is None or taken_at > now:
            assert decision.rule in (Rule.FOREIGN, Rule.FUTURE)
        elif not decision.snapshot.complete or decision.tier is Tier.EXPIRED:
            guarded = decision.rule in (
                Rule.NEWEST_COMPLETE,
                Rule.NEWEST_COMPLETE_PERIOD,
                Rule.FLOOR,
                Rule.FLOOR_PERIOD,
            )
            assert decision.action is Action.DELETE or guarded or decision.rule is Rule.IN_THE_MAKING


@settings(max_examples=examples(100), deadline=None)
@given(listings(), clocks(), st.booleans())
def test_strict_midnight_keeps_nothing_that_the_plain_policy_deletes(
    snapshots: list[Snapshot], now: datetime, latest_complete: bool
) -> None:
    strict = kept_names(plan_retention(snapshots, now, latest_complete=latest_complete, strict_midnight=True))
    assert strict <= kept_names(plan_retention(snapshots, now, latest_complete=latest_complete))


@settings(max_examples=examples(100), deadline=None)
@given(listings(), clocks())
def test_the_listing_s_order_does_not_matter(snapshots: list[Snapshot], now: datetime) -> None:
    plan = plan_retention(snapshots, now, latest_complete=False)
    assert plan_retention(snapshots[::-1], now, latest_complete=False) == plan


def leaning(snapshots: list[Snapshot], picks: list[int]) -> list[Snapshot]:
    """The same, of which some lean on older ones of their own week, as backups make them."""
    dated = sorted((at, row) for row in snapshots if (at := parse_snapshot_name(row.name)) is not None)
    leant = {}
    for place, (at, row) in enumerate(dated):
        older = [base for time, base in dated[:place] if WEEK.number(time) == WEEK.number(at) and base.complete]
        chosen = (
            {older[pick % len(older)].name for pick in picks[place : place + 3]} if older and row.complete else set()
        )
        leant[row.name] = replace(row, bases=tuple(sorted(chosen)))
    return [leant.get(row.name, row) for row in snapshots]


def differential_listings() -> st.SearchStrategy[list[Snapshot]]:
    return st.builds(leaning, listings(), st.lists(st.integers(0, 9), min_size=12, max_size=12))


def lost_bases(kept: list[Snapshot], before: list[Snapshot]) -> list[str]:
    names = {row.name for row in kept}
    there = {row.name for row in before}
    return [base for row in kept for base in row.bases if base in there and base not in names]


@settings(max_examples=examples(300), deadline=None)
@given(differential_listings(), clocks(), st.booleans(), st.booleans())
def test_no_snapshot_that_is_kept_ever_loses_a_base(
    snapshots: list[Snapshot], now: datetime, latest_complete: bool, strict_midnight: bool
) -> None:
    plan = plan_retention(snapshots, now, latest_complete=latest_complete, strict_midnight=strict_midnight)
    kept = [decision.snapshot for decision in plan.kept]
    assert not lost_bases(kept, snapshots)
    for decision in plan.decisions:
        if decision.rule is Rule.NEEDED:
            dependant = decision.reason.removeprefix("needed by ")
            assert next(row for row in kept if row.name == dependant).bases.count(decision.snapshot.name)
    # What leans on nothing is kept or goes as if nobody leant on anything, or is needed.
    bare = kept_names(
        plan_retention(
            [replace(row, bases=()) for row in snapshots],
            now,
            latest_complete=latest_complete,
            strict_midnight=strict_midnight,
        )
    )
    assert {row.snapshot.name for row in plan.kept if row.rule is not Rule.NEEDED} == bare


@settings(max_examples=examples(300), deadline=None)
@given(differential_listings(), clocks(), waits(), st.booleans(), st.booleans())
def test_however_often_it_runs_the_same_differential_snapshots_are_left(
    snapshots: list[Snapshot], first: datetime, wait: timedelta, latest_complete: bool, strict_midnight: bool
) -> None:
    def kept(listing: list[Snapshot], now: datetime) -> list[Snapshot]:
        return kept_snapshots(listing, now, latest_complete=latest_complete, strict_midnight=strict_midnight)

    in_two_steps = kept(kept(snapshots, first), first + wait)
    assert in_two_steps == kept(snapshots, first + wait)
    assert not lost_bases(in_two_steps, snapshots)
