import pytest

from lab.host.commands import require_success, run_command
from lab.host.errors import CommandFailed

pytestmark = pytest.mark.subprocess


def test_any_exit_code_is_returned_with_both_streams() -> None:
    outcome = run_command(["sh", "-c", "cat; echo bad >&2; exit 3"], input_text="fed")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, "fed", "bad\n")


def test_a_failure_is_one_sentence_with_the_end_of_what_was_said() -> None:
    with pytest.raises(CommandFailed, match=r"ended with exit code 1: no such thing"):
        require_success(["sh", "-c", "echo no such thing >&2; exit 1"])


def test_a_missing_program_is_named() -> None:
    with pytest.raises(CommandFailed, match=r"^The program no-such-program is not installed\.$"):
        run_command(["no-such-program"])


def test_a_program_that_hangs_is_ended() -> None:
    with pytest.raises(CommandFailed, match=r"sleep 60 did not end within 0\.2 s"):
        run_command(["sleep", "60"], timeout_seconds=0.2)
