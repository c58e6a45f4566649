"""The gateway's log: whole where little is printed, bounded whatever is, and safe to show on a terminal."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_init.gateway_log import HOUR_SECONDS, Allowance, BoundedLog, appending_to, relay

SAID = re.compile(rb"\[openclaw-gateway-log\] ([0-9,]+) bytes that the gateway printed are not in this log\n")
HOUR_BYTES = 1_000_000


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def bounded(clock: Clock) -> tuple[BoundedLog, bytearray]:
    written = bytearray()
    return BoundedLog(written.extend, Allowance(HOUR_BYTES, clock)), written


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=3000), st.integers(1, 400), st.floats(0, 4000)), max_size=30))
def test_no_hour_brings_more_than_two_hours_share_and_what_is_dropped_is_counted(
    prints: list[tuple[bytes, int, float]],
) -> None:
    clock = Clock()
    log, written = bounded(clock)
    printed = 0
    sizes = [(0.0, 0)]
    for text, times, pause in prints:
        for _ in range(times):
            log.add(text)
            printed += len(text)
        sizes.append((clock.now, len(written)))
        clock.now += pause
    # Room to say at last what was dropped.
    clock.now += HOUR_SECONDS
    log.add(b"x\n")
    slack = 2000
    for at, size in sizes:
        within = [later for moment, later in sizes if at <= moment < at + HOUR_SECONDS]
        assert max(within) - size <= 2 * HOUR_BYTES + slack
    dropped = sum(int(count.replace(b",", b"")) for count in SAID.findall(written))
    own = sum(len(line) for line in re.findall(rb"\[openclaw-gateway-log\] [^\n]*\n", written))
    assert -slack <= len(written) - own - (printed + 2 - dropped) <= slack


def test_what_is_within_the_limit_is_written_byte_for_byte() -> None:
    log, written = bounded(Clock())
    for _ in range(100):
        log.add("Grüße\tfrom the gateway\n".encode())
    assert bytes(written) == "Grüße\tfrom the gateway\n".encode() * 100


def test_escapes_that_a_terminal_would_obey_are_none_in_the_log() -> None:
    log, written = bounded(Clock())
    log.add(b"\x1b]0;owned\x07 \x1b[2J \x7f \r fine\n")
    assert bytes(written) == b"?]0;owned? ?[2J ? ? fine\n"


def test_the_last_line_before_the_limit_is_whole_and_the_first_after_it_says_what_is_missing() -> None:
    clock = Clock()
    log, written = bounded(clock)
    line = b"y" * 99 + b"\n"
    for _ in range(3):
        log.add(line * 5000)
    clock.now += HOUR_SECONDS / 2
    log.add(line)
    lines = bytes(written).splitlines(keepends=True)
    assert set(lines[:-3]) == {line}
    assert b"gateway_log_mib_per_hour" in lines[-3]
    (dropped,) = SAID.findall(lines[-2])
    assert lines[-1] == line
    assert (len(lines) - 3) * 100 + int(dropped.replace(b",", b"")) == 15_000 * 100


def test_a_gateway_that_prints_without_end_never_waits_and_leaves_a_small_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    log = tmp_path / "gateway.log"
    relaying = threading.Thread(
        target=relay, args=(reading, BoundedLog(appending_to(log), Allowance(1024 * 1024))), daemon=True
    )
    relaying.start()
    for _ in range(400):
        os.write(writing, b"noise\n" * 10_000)
    os.close(writing)
    relaying.join(30)
    assert not relaying.is_alive()
    os.close(reading)
    assert log.stat().st_size < 1.1 * 1024 * 1024


@pytest.mark.parametrize("made", ["link", "folder"])
def test_a_log_that_cannot_be_written_costs_its_lines_alone(
    tmp_path: Path, made: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "gateway.log"
    if made == "link":
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
    appending_to(place)(b"a line\n")
    assert "cannot be written" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()
