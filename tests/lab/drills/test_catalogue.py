import subprocess
import sys

import pytest

from lab.drills.catalogue import DRILLS, chosen
from lab.report.record import DrillRecord, Event, Severity, Span, Track, decode_records, encode_records
from lab.world.deployment import REPOSITORY


def test_drills_are_numbered_in_order_and_named_once() -> None:
    assert [drill.number for drill in DRILLS] == list(range(1, len(DRILLS) + 1))
    assert len({drill.name for drill in DRILLS}) == len(DRILLS) == 16


def test_the_chosen_come_in_the_catalogues_order() -> None:
    assert chosen([]) == DRILLS
    assert [drill.name for drill in chosen(["disk-full", "no-notice"])] == ["no-notice", "disk-full"]


def test_a_name_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"There is no drill named 'fire'; there are spot-notice, .*disk-full"):
        chosen(["no-notice", "fire"])


@pytest.mark.subprocess
@pytest.mark.parametrize(("words", "code"), [(["--list"], 0), (["fire"], 2)])
def test_the_command_names_them(words: list[str], code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.drills", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    told = done.stdout + done.stderr
    assert all(drill.name in told for drill in DRILLS)


def test_records_come_back_from_json_as_they_were() -> None:
    record = DrillRecord(
        3,
        "name",
        "Title",
        "happened",
        1.5,
        None,
        20.0,
        checks=["it holds"],
        events=[Event(1.0, Track.S3, "away", Severity.BAD)],
        spans=[Span(1.0, 2.0, Track.BACKUP, "failed", Severity.BAD)],
    )
    assert decode_records(encode_records([record])) == [record]
    assert record.passed
    assert not DrillRecord(1, "n", "t", failure="Not so").passed
    assert not DrillRecord(1, "n", "t", skipped="no root").passed
