"""The sub-commands of openclaw-s3-restore.py, and the command lines of old that stay aliases of them."""

import itertools
import shlex

import pytest

from openclaw_agent.cli.restore_arguments import COMMANDS, parse
from openclaw_agent.exit_codes import ExitCode

VALUES = {"--snapshot": "2026-02-27-14-00", "--to": "/x", "--path": "a", "--owner-wait": "5", "--force": ""}
# What a restore of parts, or into another folder, does not take.
APART = {frozenset(pair) for pair in itertools.product(("--to", "--path"), ("--force", "--owner-wait"))}
ALIASES = {
    "--make-whole 2026-02-27-14-00": "make-whole 2026-02-27-14-00",
    "--list": "list",
    "--list --json": "list --json",
    "--verify": "verify",
    "--verify --snapshot latest": "verify --snapshot latest",
    "--diff latest": "diff latest",
    "--diff=2026-02-27-14-00": "diff 2026-02-27-14-00",
    "--boot --owner-wait 0": "boot --owner-wait 0",
    "--before-start": "before-start",
    "--snapshot 2026-02-27-14-00": "run --snapshot 2026-02-27-14-00",
    "--force": "run --force",
    "--force --owner-wait 3": "run --force --owner-wait 3",
    "--to /x --path a --path b --snapshot latest": "run --to /x --path a --path b --snapshot latest",
    "--bucket b --verify --region eu-west-1": "verify --bucket b --region eu-west-1",
}


def with_value(flag: str) -> list[str]:
    return [flag, *filter(None, [VALUES[flag]])]


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == ExitCode.USAGE
    return capsys.readouterr().err


@pytest.mark.parametrize(("old", "new"), ALIASES.items())
def test_a_command_line_of_old_means_its_command(old: str, new: str) -> None:
    mine, theirs = ({k: v for k, v in vars(parse(shlex.split(line))).items() if "old_" not in k} for line in (old, new))
    assert mine == theirs


@pytest.mark.parametrize("command", COMMANDS)
def test_shared_flags_stand_before_or_after_the_command(command: str) -> None:
    shared = ["--bucket", "b", "--region", "us-east-2", "--state-dir", "/s", "--json", "--verbose"]
    words = [command, *(["latest"] if command in ("diff", "make-whole") else [])]
    assert vars(parse([*shared, *words])) == vars(parse([*words, *shared]))
    assert parse([*words, *shared]).bucket == "b"
    assert parse(words).bucket is None


@pytest.mark.parametrize("arguments", [(), ("--bucket", "b"), ("--owner-wait", "5")], ids=" ".join)
def test_a_bare_call_prints_help_and_does_nothing(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    said = refusal(capsys, *arguments)
    assert "usage: openclaw-s3-restore.py" in said
    assert said.endswith("Nothing was done: give a command.\n")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", VALUES)
def test_a_command_takes_its_own_flags_and_refuses_others_by_name(
    capsys: pytest.CaptureFixture[str], command: str, flag: str
) -> None:
    words = [command, *(["latest"] if command in ("diff", "make-whole") else []), *with_value(flag)]
    if flag in COMMANDS[command][1]:
        assert parse(words).command == command
    else:
        assert f"{command} takes no {flag}; it takes " in refusal(capsys, *words)


@pytest.mark.parametrize("pair", list(itertools.combinations(VALUES, 2)), ids=" ".join)
def test_flags_of_run_go_together_or_are_refused_by_name(
    capsys: pytest.CaptureFixture[str], pair: tuple[str, str]
) -> None:
    words = ["run", *with_value(pair[0]), *with_value(pair[1])]
    if frozenset(pair) not in APART:
        assert parse(words).command == "run"
        return
    said = refusal(capsys, *words)
    assert "do not go together" in said
    assert all(flag in said for flag in pair)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--list --verify", "--list and --verify do not go together"),
        ("--boot --diff latest", "do not go together"),
        ("--list run", "--list is not allowed before run"),
        ("--snapshot latest verify", "--snapshot is not allowed before verify"),
        ("--list --force", "list takes no --force"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("restore", "invalid choice: 'restore'"),
        ("diff", "the following arguments are required: NAME"),
    ],
)
def test_what_makes_no_command_is_refused(capsys: pytest.CaptureFixture[str], line: str, sentence: str) -> None:
    assert sentence in refusal(capsys, *line.split())


@pytest.mark.parametrize("words", [("--to",), ("--diff",), ("diff",), ("--snapshot",), ("run", "--path")], ids=" ".join)
def test_an_empty_value_is_refused_and_never_taken_for_a_flag_that_is_not_there(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert "'' is not allowed: give a value" in refusal(capsys, *words, "")


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "-1", "-0.5", "soon"])
def test_a_wait_that_has_no_end_or_is_none_is_refused(capsys: pytest.CaptureFixture[str], seconds: str) -> None:
    assert f"{seconds} is not allowed: it must be 0 or more seconds" in refusal(
        capsys, "boot", f"--owner-wait={seconds}"
    )


@pytest.mark.parametrize("seconds", ["0", "0.5", "300"])
def test_a_wait_of_some_seconds_is_taken(seconds: str) -> None:
    assert parse(["boot", "--owner-wait", seconds]).owner_wait == float(seconds)
