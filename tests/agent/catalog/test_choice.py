from datetime import UTC, datetime, timedelta

import pytest

from openclaw_agent.catalog.choice import RestorePoint, Source, is_partially_written, is_restore_point, order_candidates
from tests.support.entries import manifest

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
EARLIER = "2026-03-04-08-00"
LATER = "2026-03-04-08-20"


def point(snapshot: str, seconds: int = 0, epoch: int = 1) -> RestorePoint:
    return RestorePoint(manifest(snapshot=snapshot, epoch=epoch), NOON + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("latest", "newest", "order"),
    [
        (None, None, []),
        (None, point(LATER), [(Source.SNAPSHOT, LATER)]),
        (point(LATER), None, [(Source.LATEST, LATER)]),
        (point(LATER, 2), point(LATER, 1), [(Source.LATEST, LATER), (Source.SNAPSHOT, LATER)]),
        (point(LATER, 2), point(EARLIER, 1), [(Source.LATEST, LATER), (Source.SNAPSHOT, EARLIER)]),
        (point(EARLIER, 1), point(LATER, 2), [(Source.SNAPSHOT, LATER), (Source.LATEST, EARLIER)]),
        (point(EARLIER, 2), point(LATER, 2), [(Source.SNAPSHOT, LATER), (Source.LATEST, EARLIER)]),
        (point(EARLIER, 3), point(LATER, 2), [(Source.LATEST, EARLIER), (Source.SNAPSHOT, LATER)]),
        (point(EARLIER, 1, epoch=2), point(LATER, 2, epoch=1), [(Source.LATEST, EARLIER), (Source.SNAPSHOT, LATER)]),
        (point(LATER, 1, epoch=1), point(EARLIER, 2, epoch=2), [(Source.SNAPSHOT, EARLIER), (Source.LATEST, LATER)]),
    ],
    ids=[
        "nothing at all",
        "no usable latest",
        "no snapshot",
        "a backup that ended well",
        "snapshots older than latest",
        "cut short between snapshot and latest",
        "cut short within one second",
        "an older state put into latest by hand",
        "a stale writer with a fast clock",
        "a later epoch with a slow clock",
    ],
)
def test_the_order_in_which_restore_points_are_tried(
    latest: RestorePoint | None, newest: RestorePoint | None, order: list[tuple[Source, str]]
) -> None:
    choices = order_candidates(latest, newest)
    assert [(choice.source, choice.name) for choice in choices] == order
    assert all(choice.because for choice in choices)


def test_latest_is_never_cut_short_by_its_own_snapshot() -> None:
    assert not is_partially_written(point(LATER, 0), point(LATER, 5))


def test_a_quarantined_snapshot_is_no_restore_point() -> None:
    assert is_restore_point(manifest())
    assert not is_restore_point(manifest(quarantined="Fenced"))
