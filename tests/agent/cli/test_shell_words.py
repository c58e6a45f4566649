"""What a person copies out of a message means to a shell, and then to the command, the path that it is about."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.cli.restore_arguments import parse
from openclaw_agent.host.freezer import Gateway, thaw
from openclaw_agent.streams import shell_word

NAMES = [
    *("a b", "-rf", "it's", 'say "hi"', "$HOME", "`id`", "a;b", "*", "~", "ä 🦞", "\\", "!x"),
    *("new\nline", "tab\there", "\udcff", "bell\a and ä"),
]


def as_bash_reads_it(words: list[str]) -> list[bytes]:
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {' '.join(words)}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    return done.stdout.split(b"\0")[:-1]


@pytest.mark.subprocess
@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8), min_size=20, max_size=40))
def test_a_shell_reads_back_every_path_that_a_message_names(names: list[str]) -> None:
    words = [shell_word(name) for name in (*NAMES, *names)]
    assert as_bash_reads_it(words) == [os.fsencode(name) for name in (*NAMES, *names)]
    assert all(word.isprintable() for word in words)


@pytest.mark.parametrize("name", [name for name in NAMES if name.isprintable()])
def test_the_command_takes_the_path_as_the_hint_gives_it(name: str) -> None:
    words = shlex.split(f"openclaw-s3-restore.py run --path={shell_word(name)}")
    assert parse(words[1:]).path == [name]


@pytest.mark.subprocess
def test_a_command_that_thaws_can_be_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openclaw_agent.host.freezer.THAW_TIMEOUT_SECONDS", 0.1)
    command = ("sh", "-c", "echo 'cannot thaw' >&2; exit 1", str(tmp_path / "a b"))
    with pytest.raises(Exception, match="thaw it with: ") as told:
        thaw(Gateway(("true",), command))
    assert tuple(shlex.split(str(told.value).partition("thaw it with: ")[2])) == command
