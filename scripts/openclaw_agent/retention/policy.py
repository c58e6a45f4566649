"""Which snapshots the lifecycle keeps and which it deletes: pure functions over names, completeness and a clock.

The policy is the table `retention_tiers.TIERS`. A tier that keeps one snapshot for each period keeps the period's
representative: its earliest complete snapshot, chosen among all snapshots of the period and not only those in the tier,
so that neither a tier's edge cutting through a period nor the representative's own end ever promotes another one.
Applying the policy at t1 and again at t2 therefore leaves what applying it at t2 alone leaves
(docs/adr/0003-retention-representatives.md).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from openclaw_agent.retention.tiers import TIERS, Period, Share, Tier, TierRow, tier_row
from openclaw_agent.snapshot.names import parse_snapshot_name

INCOMPLETE_GRACE = timedelta(hours=24)
"""An incomplete snapshot may still be in the making for so long; then it is deleted."""

FLOOR_AGE = timedelta(hours=24)
"""Of the snapshots so old or older the newest complete one always stays: after a pause longer than the last tier the
table alone would leave nothing of the time before, and the first backup overwrites `latest/`."""


class Action(Enum):
    """What becomes of a snapshot."""

    KEEP = "keep"
    DELETE = "delete"


class Rule(Enum):
    """The one rule that decided about a snapshot."""

    RECENT = "recent"
    REPRESENTATIVE = "representative"
    REPRESENTED = "represented"
    NO_MIDNIGHT = "no-midnight"
    EXPIRED = "expired"
    IN_THE_MAKING = "in-the-making"
    INCOMPLETE = "incomplete"
    FUTURE = "future"
    FOREIGN = "foreign"
    NEWEST_COMPLETE = "newest-complete"
    NEWEST_COMPLETE_PERIOD = "newest-complete-period"
    FLOOR = "floor"
    FLOOR_PERIOD = "floor-period"
    NEEDED = "needed"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot as a listing shows it: complete where its manifest exists.

    A quarantined one is no restore point of the main line (a fenced instance's late writes, a shrunken state). Such
    snapshots are a series of their own: the same tiers, their own representatives, and never the last restore point.
    A doubtful one (its manifest cannot be read to its end, or objects of it are gone) represents a period, or is the
    last restore point, only where there is no other. `bases` are the names of those whose folders hold files of it.
    """

    name: str
    complete: bool
    quarantined: bool = False
    doubtful: bool = False
    bases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one snapshot, and why; a foreign name has neither time nor age, and like the future no tier."""

    snapshot: Snapshot
    taken_at: datetime | None
    age: timedelta | None
    tier: Tier | None
    action: Action
    rule: Rule
    reason: str


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """The decisions of one run, newest snapshot first and foreign names last."""

    now: datetime
    latest_complete: bool
    strict_midnight: bool
    decisions: tuple[Decision, ...]

    @property
    def relied_on(self) -> tuple[str, ...]:
        """The names of those in whose favour others are deleted."""
        rules = (Rule.REPRESENTATIVE, Rule.NEWEST_COMPLETE, Rule.FLOOR)
        return tuple(decision.snapshot.name for decision in self.decisions if decision.rule in rules)

    @property
    def kept(self) -> tuple[Decision, ...]:
        """The decisions to keep, newest first, foreign names last."""
        return tuple(decision for decision in self.decisions if decision.action is Action.KEEP)

    @property
    def removed(self) -> tuple[Decision, ...]:
        """The decisions to delete in the order in which to delete: newest first.

        A period's representative is its earliest snapshot and so goes last: a run cut short never leaves a period whose
        representative is gone while another snapshot of it is not, which the next run would promote.
        """
        return tuple(decision for decision in self.decisions if decision.action is Action.DELETE)


@dataclass(frozen=True, slots=True)
class _Dated:
    snapshot: Snapshot
    taken_at: datetime
    age: timedelta


@dataclass(frozen=True, slots=True)
class _Guard:
    """One snapshot that stays whatever its tier says, and the representative of its period, each with its reason."""

    snapshot: _Dated
    rule: Rule
    reason: str
    representative: _Dated | None
    period_rule: Rule
    period_reason: str

    def decides(self, item: _Dated, row: TierRow) -> Decision | None:
        if item is self.snapshot:
            return _decision(item, row, Action.KEEP, self.rule, self.reason)
        if item is self.representative:
            return _decision(item, row, Action.KEEP, self.period_rule, self.period_reason)
        return None


class _Representatives:
    """The earliest complete snapshot of every period in each series (strict: of those in the period's first minute)."""

    def __init__(self, complete: Iterable[_Dated], *, strict_midnight: bool) -> None:
        self._strict_midnight = strict_midnight
        self._earliest: dict[Period, dict[tuple[int, bool], _Dated]] = {
            row.keeps: {} for row in TIERS if isinstance(row.keeps, Period)
        }
        for dated in complete:
            for period, earliest in self._earliest.items():
                if self.may_represent(dated, period):
                    other = earliest.setdefault(self._place(dated, period), dated)
                    if (dated.snapshot.doubtful, dated.taken_at) < (other.snapshot.doubtful, other.taken_at):
                        earliest[self._place(dated, period)] = dated

    def may_represent(self, dated: _Dated, period: Period) -> bool:
        return not self._strict_midnight or period.starts_with_minute_of(dated.taken_at)

    def of(self, dated: _Dated, period: Period) -> _Dated | None:
        return self._earliest[period].get(self._place(dated, period))

    def _place(self, dated: _Dated, period: Period) -> tuple[int, bool]:
        return period.number(dated.taken_at), dated.snapshot.quarantined


def plan_retention(
    snapshots: Sequence[Snapshot], now: datetime, *, latest_complete: bool, strict_midnight: bool = False
) -> RetentionPlan:
    """Decide for every snapshot whether it is kept or deleted at an instant, and why.

    `latest_complete` says whether `latest/` can be restored whole (see `latest_is_complete`); where it cannot, the
    newest complete snapshot survives. `strict_midnight` makes daily and weekly keep literal 00:00 snapshots alone.

    Raises:
        ValueError: `now` has no time zone, or two snapshots have one name.
    """
    if now.tzinfo is None:
        raise ValueError(f"the time {now.isoformat()} has no time zone; ages are measured in UTC")
    now = now.astimezone(UTC)
    dated, foreign = _dated_and_foreign(snapshots, now)
    complete = [item for item in dated if item.snapshot.complete]
    representatives = _Representatives(complete, strict_midnight=strict_midnight)
    guards = list(_guards_of(complete, representatives, latest_complete=latest_complete))
    decisions = _with_what_is_needed([_decide(item, representatives, guards) for item in dated])
    decisions += [
        Decision(snapshot, None, None, None, Action.KEEP, Rule.FOREIGN, "name is no timestamp: never touched")
        for snapshot in foreign
    ]
    return RetentionPlan(now, latest_complete, strict_midnight, tuple(decisions))


def latest_is_complete(latest_snapshot_name: str | None, snapshots: Iterable[Snapshot]) -> bool:
    """Tell whether `latest/` is a whole restore point: its manifest is there, and no complete snapshot is newer.

    `latest_snapshot_name` is the snapshot that the manifest of `latest/` names, None where it cannot be read.
    An older `latest/` is torn or stale (its manifest is written last), and restore takes the newest complete snapshot.
    """
    latest = parse_snapshot_name(latest_snapshot_name) if latest_snapshot_name is not None else None
    if latest is None:
        return False
    main_line = (snapshot for snapshot in snapshots if snapshot.complete and not snapshot.quarantined)
    times = (parse_snapshot_name(snapshot.name) for snapshot in main_line)
    return all(taken_at is None or taken_at <= latest for taken_at in times)


def _with_what_is_needed(decisions: Sequence[Decision]) -> list[Decision]:
    """Keep what a kept snapshot names as a base, and what that one needs in its turn."""
    needed_by: dict[str, str] = {}
    by_name = {decision.snapshot.name: decision for decision in decisions}
    waiting = [decision.snapshot for decision in decisions if decision.action is Action.KEEP]
    while waiting:
        snapshot = waiting.pop(0)
        for name in snapshot.bases:
            decision = by_name.get(name)
            if decision is not None and decision.action is Action.DELETE and name not in needed_by:
                needed_by[name] = snapshot.name
                waiting.append(decision.snapshot)
    return [
        replace(decision, action=Action.KEEP, rule=Rule.NEEDED, reason=f"needed by {needed_by[name]}")
        if (name := decision.snapshot.name) in needed_by
        else decision
        for decision in decisions
    ]


def _dated_and_foreign(snapshots: Sequence[Snapshot], now: datetime) -> tuple[list[_Dated], list[Snapshot]]:
    dated: list[_Dated] = []
    foreign: list[Snapshot] = []
    seen: set[str] = set()
    for snapshot in snapshots:
        if snapshot.name in seen:
            raise ValueError(f"the snapshot {snapshot.name!r} is listed twice; a listing names each snapshot once")
        seen.add(snapshot.name)
        taken_at = parse_snapshot_name(snapshot.name)
        if taken_at is None:
            foreign.append(snapshot)
        else:
            dated.append(_Dated(snapshot, taken_at, now - taken_at))
    dated.sort(key=lambda item: item.taken_at, reverse=True)
    foreign.sort(key=lambda snapshot: snapshot.name)
    return dated, foreign


def _guards_of(
    newest_first: Sequence[_Dated], representatives: _Representatives, *, latest_complete: bool
) -> Iterator[_Guard]:
    # The future does not count: a snapshot with a wrong clock's name must not cost the last good one.
    past = [item for item in newest_first if item.age >= timedelta(0) and not item.snapshot.quarantined]
    past.sort(key=lambda item: item.snapshot.doubtful)
    floor = next((item for item in past if item.age >= FLOOR_AGE), None)
    if past and not latest_complete:
        yield _Guard(
            past[0],
            Rule.NEWEST_COMPLETE,
            "newest complete snapshot, and latest/ is not complete: never delete the only complete restore point",
            _representative_of(past[0], representatives),
            Rule.NEWEST_COMPLETE_PERIOD,
            f"represents the period of {past[0].snapshot.name}, the newest complete snapshot: goes with it",
        )
    if floor is not None:
        yield _Guard(
            floor,
            Rule.FLOOR,
            "newest complete snapshot that is 24 h old or older: always stays",
            _representative_of(floor, representatives),
            Rule.FLOOR_PERIOD,
            f"represents the period of {floor.snapshot.name}, which always stays: goes with it",
        )


def _representative_of(guarded: _Dated, representatives: _Representatives) -> _Dated | None:
    # Without its period's representative the guarded snapshot would itself become that, and outlive the guard.
    period = tier_row(guarded.age).keeps
    if not isinstance(period, Period) or not representatives.may_represent(guarded, period):
        return None
    return representatives.of(guarded, period)


def _decide(item: _Dated, representatives: _Representatives, guards: Iterable[_Guard]) -> Decision:
    if item.age < timedelta(0):
        return _decision(item, None, Action.KEEP, Rule.FUTURE, "timestamp is in the future: never touched")
    row = tier_row(item.age)
    if not item.snapshot.complete:
        return _decide_incomplete(item, row)
    decision = _decide_by_tier(item, row, representatives)
    if decision.action is Action.KEEP:
        return decision
    guarded = (kept for guard in guards if (kept := guard.decides(item, row)))
    return next(guarded, decision)


def _decide_incomplete(item: _Dated, row: TierRow) -> Decision:
    if item.age < INCOMPLETE_GRACE:
        reason = "incomplete, but younger than 24 h: may still be in the making"
        return _decision(item, row, Action.KEEP, Rule.IN_THE_MAKING, reason)
    return _decision(item, row, Action.DELETE, Rule.INCOMPLETE, "incomplete (no manifest), and 24 h old or older")


def _decide_by_tier(item: _Dated, row: TierRow, representatives: _Representatives) -> Decision:
    if row.keeps is Share.ALL:
        return _decision(item, row, Action.KEEP, Rule.RECENT, f"{row.age_range}: {row.policy}")
    if row.keeps is Share.NONE:
        return _decision(item, row, Action.DELETE, Rule.EXPIRED, f"{row.age_range}: {row.policy}")
    period = row.keeps
    title = period.title(item.taken_at) + (" among quarantined ones" if item.snapshot.quarantined else "")
    representative = representatives.of(item, period)
    if representative is None:
        reason = f"{title} has no complete {period.first_minute} snapshot, and --strict-midnight keeps no other"
        return _decision(item, row, Action.DELETE, Rule.NO_MIDNIGHT, reason)
    if representative is not item:
        reason = f"{title} is represented by {representative.snapshot.name}"
        return _decision(item, row, Action.DELETE, Rule.REPRESENTED, reason)
    at_start = period.starts_with_minute_of(item.taken_at)
    which = f"its {period.first_minute} snapshot" if at_start else "its earliest complete snapshot"
    return _decision(item, row, Action.KEEP, Rule.REPRESENTATIVE, f"represents {title}: {which}")


def _decision(item: _Dated, row: TierRow | None, action: Action, rule: Rule, reason: str) -> Decision:
    return Decision(item.snapshot, item.taken_at, item.age, row.tier if row else None, action, rule, reason)
