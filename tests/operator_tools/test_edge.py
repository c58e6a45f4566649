import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.host.deadline import scaled
from operator_tools import edge
from operator_tools.account.errors import AccountError, WrongRegion

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TALKATIVE = """
import argparse, sys
from operator_tools import edge

def work(options):
    for _ in range(100_000):
        print("a line")
    print("the work went on", file=sys.stderr)
    return 3

sys.exit(edge.run(work, argparse.Namespace(verbose=False)))
"""


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def work(_options: argparse.Namespace) -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (AccountError("EC2 cannot be reached."), 1, "EC2 cannot be reached.\n"),
        (WrongRegion("There is no region 'x'."), 2, "There is no region 'x'.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
    ids=["refused", "wrong usage", "Ctrl-C"],
)
def test_an_error_is_one_sentence_and_an_exit_status(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, sentence: str
) -> None:
    assert edge.run(raising(error), argparse.Namespace(verbose=False)) == code
    assert capsys.readouterr() == ("", sentence)


def test_the_traceback_is_shown_to_who_asks_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert edge.run(raising(AccountError("No.")), argparse.Namespace(verbose=True)) == 1

    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.endswith("\nNo.\n")


@pytest.mark.subprocess
def test_a_reader_that_goes_away_changes_neither_the_work_nor_its_exit_status() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        finished = subprocess.run(
            [sys.executable, "-c", TALKATIVE],
            stdout=writing,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
            timeout=scaled(60),
        )
    finally:
        os.close(writing)

    assert (finished.returncode, finished.stderr) == (3, b"the work went on\n")
