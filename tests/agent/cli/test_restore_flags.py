import itertools

import pytest

from openclaw_agent.cli.restore import parser
from openclaw_agent.cli.restore_flags import CHOOSABLE, check_flags
from openclaw_agent.errors import UsageError

VALUES = {"--snapshot": "2026-02-27-14-00", "--diff": "latest", "--to": "/x", "--path": "a", "--owner-wait": "5"}
TOGETHER = {
    frozenset(pair)
    for pair in (
        ("--verify", "--snapshot"),
        ("--boot", "--owner-wait"),
        ("--to", "--snapshot"),
        ("--to", "--path"),
        ("--path", "--snapshot"),
        ("--snapshot", "--force"),
        ("--snapshot", "--owner-wait"),
        ("--force", "--owner-wait"),
    )
}


def check(*flags: str) -> None:
    check_flags(parser().parse_args([word for flag in flags for word in (flag, *filter(None, [VALUES.get(flag)]))]))


@pytest.mark.parametrize("pair", list(itertools.permutations(CHOOSABLE, 2)), ids=" ".join)
def test_two_flags_go_together_or_are_refused_by_name(pair: tuple[str, str]) -> None:
    if frozenset(pair) in TOGETHER:
        check(*pair)
        return
    with pytest.raises(UsageError, match=r"do not go together; --\S+ goes with") as refusal:
        check(*pair)
    assert all(flag in str(refusal.value) for flag in pair)


@pytest.mark.parametrize("flag", CHOOSABLE)
def test_each_flag_may_stand_alone(flag: str) -> None:
    check(flag)


def test_three_flags_that_go_together() -> None:
    check("--to", "--path", "--snapshot")
    check("--snapshot", "--force", "--owner-wait")


@pytest.mark.parametrize("flag", ["--to", "--diff", "--snapshot", "--path"])
def test_an_empty_value_is_refused_and_never_taken_for_a_flag_that_is_not_there(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} '' is not allowed"):
        check_flags(parser().parse_args([flag, ""]))


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "-1", "-0.5"])
def test_a_wait_that_has_no_end_or_is_none_is_refused(seconds: str) -> None:
    with pytest.raises(UsageError, match=rf"--owner-wait {seconds} is not allowed"):
        check_flags(parser().parse_args([f"--owner-wait={seconds}"]))


@pytest.mark.parametrize("seconds", ["0", "0.5", "300"])
def test_a_wait_of_some_seconds_is_taken(seconds: str) -> None:
    check_flags(parser().parse_args(["--owner-wait", seconds]))
