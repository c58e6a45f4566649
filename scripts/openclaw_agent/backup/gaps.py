"""The gaps of a backup: what it could not take as it is, which of it a person has accepted, and what is said. Pure."""

from collections.abc import Collection, Sequence

from openclaw_agent.capture.capture import Capture
from openclaw_agent.errors import DoneWithGaps, UsageError
from openclaw_agent.snapshot.keys import LATEST_PREFIX, STATE_PREFIX
from openclaw_agent.snapshot.manifest import Gap, Manifest
from openclaw_agent.snapshot.row_limits import first_rows
from openclaw_agent.streams import shell_word

MOST_NAMED = 5


def gaps_of(capture: Capture, last: Manifest | None, accept: Sequence[str]) -> tuple[Gap, ...]:
    """What is a gap now; one stays accepted for as long as it is there, on whichever instance.

    Raises:
        UsageError: when one of `accept` (a gap, or a folder in which gaps lie) is none.
    """
    before = {gap.path: gap for gap in last.gaps} if last else {}
    now = {row.path: Gap(row.path, row.reason) for row in capture.unreadable}
    for path, reason in ((row.path, row.reason) for row in capture.not_judged):
        now[path] = Gap(path, f"nobody knows whether the database is whole: {reason}")
    for row in capture.damaged:
        now[row.path] = Gap(row.path, f"the database fails its integrity check: {row.problem}")
    if any(gap.missing for gap in before.values()):
        there = {entry.path for entry in capture.entries}
        now |= {path: gap for path, gap in before.items() if gap.missing and path not in there | now.keys()}
    for path in accept:
        if not any(_covers(path, gap) for gap in now):
            known = f"the gaps are {named(sorted(now))}" if now else "there is no gap"
            raise UsageError(f"--accept-gap {path!r} is not allowed: nothing there is a gap; {known}.")
    return tuple(
        Gap(
            gap.path,
            gap.reason,
            accepted=(path in before and before[path].accepted) or any(_covers(row, path) for row in accept),
            missing=gap.missing,
        )
        for path, gap in sorted(now.items())
    )


def recorded(gaps: Sequence[Gap]) -> tuple[Gap, ...]:
    """Those that a manifest names, where there are too many: first what hangs on their being named there."""
    kept = first_rows(
        sorted(gaps, key=lambda gap: (not gap.missing, not gap.accepted)), lambda gap: gap.path + gap.reason
    )
    return tuple(sorted(kept, key=lambda gap: gap.path))


def same_gaps(one: Sequence[Gap], other: Sequence[Gap]) -> bool:
    """Whether a manifest with the one need not be written again because of the other."""
    first, second = recorded(one), recorded(other)
    return {(gap.path, gap.accepted) for gap in first} == {(gap.path, gap.accepted) for gap in second}


def gaps_error(gaps: Sequence[Gap], manifest: Manifest, damaged: Collection[str] = ()) -> DoneWithGaps | None:
    """The sentences for the user, or None where every gap is accepted; `damaged` are the databases among them."""
    open_gaps = [gap for gap in gaps if not gap.accepted]
    if not open_gaps:
        return None
    stale = {entry.path for entry in manifest.entries if entry.stale}
    not_judged = {entry.path for entry in manifest.entries if entry.unverified}
    shown = [
        f"{gap.path!r}: {gap.reason}{_what_stands_for(gap, stale, damaged, not_judged)}"
        for gap in open_gaps[:MOST_NAMED]
    ]
    more = len(open_gaps) - MOST_NAMED
    rest = f" And {more} more, which the log and the manifest list." if more > 0 else ""
    return DoneWithGaps(
        f"Everything is backed up, but for {_counted(len(open_gaps))}. {'. '.join(shown)}.{rest} Mend it, or, if it "
        f"may be so, accept it by openclaw-s3-backup.py --accept-gap={shell_word(open_gaps[0].path)}",
        len(gaps),
        databases=any(gap.path in damaged for gap in open_gaps),
    )


def is_in_a_gap(key: str, gaps: Sequence[Gap]) -> bool:
    """Whether an object of `latest/` lies where something could not be read."""
    path = key.removeprefix(LATEST_PREFIX + STATE_PREFIX)
    return any(_covers(gap.path, path) for gap in gaps)


def gap_facts(gaps: Sequence[Gap]) -> dict[str, object]:
    """For the log line."""
    if not gaps:
        return {}
    accepted = sum(gap.accepted for gap in gaps)
    return {"gaps": [gap.path for gap in gaps[:MOST_NAMED]], "gap_count": len(gaps), "gaps_accepted": accepted}


def named(paths: Sequence[str]) -> str:
    """The first paths, and how many there are besides."""
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return ", ".join(repr(path) for path in paths[:MOST_NAMED]) + more


def _covers(path: str, gap: str) -> bool:
    return gap == path or gap.startswith(f"{path}/")


def _what_stands_for(gap: Gap, stale: Collection[str], damaged: Collection[str], not_judged: Collection[str]) -> str:
    if gap.path in stale or any(path.startswith(f"{gap.path}/") for path in stale):
        if gap.path in damaged:
            bring_back = f"openclaw-s3-restore.py run --path={shell_word(gap.path)}"
            return f"; latest/ keeps the last good copy of it, which {bring_back} brings back"
        return "; the backup keeps what the last one had of it"
    if gap.path in damaged:
        return "; it is backed up as it was found, for there is no good copy of it"
    if gap.path in not_judged:
        return "; it is backed up as it was found"
    return "" if gap.missing else "; there is nothing of it in the backup"


def _counted(count: int) -> str:
    return "1 gap" if count == 1 else f"{count} gaps"
