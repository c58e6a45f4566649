"""What the agent's loggers write to the terminal, and what only --verbose shows."""

import logging

import pytest

from openclaw_agent.streams import log_to_stderr
from tests.support.simulated_instance import FreshBucket

LEVELS = ("debug", "info", "warning", "error")


@pytest.mark.parametrize(("verbose", "shown"), [(False, LEVELS[1:]), (True, LEVELS)])
def test_a_sentence_is_shown_as_it_is_and_what_serves_developers_only_on_request(
    capsys: pytest.CaptureFixture[str], verbose: bool, shown: tuple[str, ...]
) -> None:
    log_to_stderr(verbose=verbose)
    for level in LEVELS:
        getattr(logging.getLogger("openclaw_agent.any.room"), level)("%s: 100 %%, 'quoted'", level)
    logging.getLogger("botocore").warning("of a library")
    assert capsys.readouterr().err.splitlines() == [f"{level}: 100 %, 'quoted'" for level in shown]


def test_a_second_run_in_one_process_says_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    for _run in range(2):
        log_to_stderr(verbose=False)
    logging.getLogger("openclaw_agent").info("once")
    assert capsys.readouterr().err == "once\n"


def test_verbose_shows_what_a_run_did_and_where_an_error_came_from(world: FreshBucket) -> None:
    machine = world.booted()
    machine.write("notes")
    assert "Captured 1 files (live); read" in machine.backup("--verbose").err
    assert "Captured" not in machine.backup("--full").err
    broken = machine.restore("run", "--snapshot", "2020-01-01-00-00", "--to", str(machine.disk / "x"), "--verbose")
    assert (broken.code, "Traceback (most recent call last)" in broken.err) == (1, True)
    assert broken.err.splitlines()[-1].startswith("openclaw-s3-restore.py: There is no complete snapshot")
