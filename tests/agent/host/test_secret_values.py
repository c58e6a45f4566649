"""A secret reaches the gateway as it was stored: through both files, by the lab's unit, and by the rules of compose."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from openclaw_agent.host.gateway_secrets import MULTILINE_FILE, TOKEN_NAME, Secret, without_the_files_end, write_secrets

pytestmark = pytest.mark.subprocess

GATEWAY = Path(__file__).parents[3] / "lab/machine/root_files_unit/usr/local/libexec/openclaw-as-gateway"
PEM = "-----BEGIN PRIVATE KEY-----\nMIGTAgEAMBMGByqGSM49AgEG\nCCqGSM49AwEHBHkwdwIBAQQg\n-----END PRIVATE KEY-----\n"
AWKWARD = [
    "$HOME\n${HOME}$$",
    'a "b" \\"c\\"\n',
    "\\n\n\\\\",
    "two\r\nlines\r\n",
    "a\n\\",
    "\n x",
    "# no\n#comment",
    "'\n`id`",
]
VALUES = st.one_of(
    st.text("ab=#$\"'\\`{}! \t\n\r", max_size=12),
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8),
)


def values_by_the_labs_unit(folder: Path) -> dict[str, str]:
    """What the lab's script reads of the files, run up to the point where it would start the gateway."""
    reading = GATEWAY.read_text().split("for index in")[0].replace("/usr/share/openclaw-lab/container.sh", "/dev/null")
    script = f"{reading}\nprintf '%s\\0' \"${{variables[@]}}\"\n"
    lists = f"environment=() env_files=({folder}/.env) quoted_env_files=({folder}/{MULTILINE_FILE})\n"
    done = subprocess.run(["bash", "-c", lists + script], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    pairs = [word.decode().split("=", 1) for word in done.stdout.split(b"\0") if word]
    return {name: value for name, value in pairs if name != "PATH"}


def values_by_compose(folder: Path) -> dict[str, str]:
    """By the rules of compose-go 2.9: raw lines as they are; in double quotes its escapes, then $ for a variable."""
    raw = dict(line.split("=", 1) for line in (folder / ".env").read_bytes().decode().split("\n")[:-1])
    quoted = {}
    for line in (folder / MULTILINE_FILE).read_bytes().decode().split("\n")[:-1]:
        name, value = line.split("=", 1)
        inner = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', value)
        assert inner is not None
        assert re.search(r"(?<!\\)(\\\\)*\$", inner[1]) is None
        quoted[name] = re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r"}.get(found[1], found[1]), inner[1])
    assert not raw.keys() & quoted.keys()
    return {**raw, **quoted}


@settings(max_examples=40, deadline=None)
@given(st.lists(VALUES, max_size=4))
@example([PEM])
@example(AWKWARD)
def test_every_value_reaches_the_gateway_exactly(tmp_path_factory: pytest.TempPathFactory, values: list[str]) -> None:
    folder = tmp_path_factory.mktemp("run")
    secrets = [Secret(TOKEN_NAME, "t0ken"), *(Secret(f"V{number}", value) for number, value in enumerate(values))]

    write_secrets(secrets, folder / ".env")

    stored = {secret.name: secret.value for secret in secrets}
    assert values_by_compose(folder) == stored
    assert values_by_the_labs_unit(folder) == stored
    assert {(folder / name).stat().st_mode & 0o077 for name in (".env", MULTILINE_FILE)} <= {0, 0o040}


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        ("token", "token"),
        ("token\n", "token"),
        ("token\r\n", "token"),
        ("token\n\n", "token"),
        ("\n", ""),
        (" token ", " token "),
        (PEM, PEM),
        ("one\ntwo", "one\ntwo"),
        ("one\ntwo\n\n", "one\ntwo\n\n"),
    ],
)
def test_a_line_loses_the_end_that_its_file_gave_it_and_several_lines_lose_nothing(stored: str, value: str) -> None:
    assert without_the_files_end(stored) == value
