"""What comes from the bucket, the state or a manifest never reaches a terminal as anything but text."""

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.streams import on_one_line, printable
from tests.support.simulated_instance import LATEST_MANIFEST, FreshBucket, Run, SimulatedInstance

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
# Sets a window's title, clears it, goes up a line, turns what follows round, and looks like a sentence of ours.
EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[A\x9b1m\u202egnp.exe\u2066\u200b\rDone.\nRestored 5 files"
# As a file's name, which S3 is given under another key.
NAME = EVIL.replace("/", "_")
# What XML carries of it, and the embedded server takes.
KEY = "\u202e\u2066gnp.exe\u200b"


def require_plain(run: Run) -> None:
    for text in (run.out, run.err):
        assert {one for one in text if not one.isprintable()} <= {"\n"}, ascii(text)
        assert not any(line.startswith(("Done.", "Restored 5 files")) for line in text.splitlines()), text


@given(st.text())
def test_a_text_is_printed_as_it_is_where_it_can_be_and_else_as_an_escape(text: str) -> None:
    shown = printable(text)
    assert all(one == "\n" or one.isprintable() for one in shown)
    assert (shown == text) == all(one == "\n" or one.isprintable() for one in text)
    assert on_one_line(text).isprintable()
    shown.encode()


@pytest.mark.parametrize(
    "one", "\x00\x07\x08\r\x1b\x7f\x85\x9b\u061c\u200e\u200f\u202a\u202e\u2028\u2066\u2069\ufeff\udcff"
)
def test_what_moves_a_cursor_or_turns_writing_round_is_escaped(one: str) -> None:
    assert printable(f"a{one}b") == f"a{ascii(one)[1:-1]}b"


def test_no_command_sends_a_name_to_the_terminal_as_it_is(world: FreshBucket, machine: SimulatedInstance) -> None:
    machine.write("openclaw.json", "{}")
    machine.write(NAME, "of a hostile gateway")
    (machine.state / f"link{NAME}").symlink_to(f"/outside/{NAME}")
    (machine.state / f"damaged{NAME}.sqlite").write_bytes(b"SQLite format 3\0" + bytes(4000))
    runs = [machine.backup()]
    name = world.snapshots()[0]
    stored = world.manifest(name)
    text = b"".join(encode_manifest(replace(stored, snapshot="2026-03-04-23-00", quarantined=EVIL)))
    world.put("snapshots/2026-03-04-23-00/manifest.json", text)
    world.put(f"snapshots/{KEY}/x", "of a stranger")
    world.put(f"latest/.openclaw/workspace/{KEY}", "of a stranger")
    machine.write(f"new{NAME}")
    runs += [machine.backup(), machine.restore("list"), machine.restore("diff", name), machine.restore("verify")]
    runs += [machine.restore("run", "--path", NAME), machine.restore("run", "--path", f"no{NAME}")]
    runs += [machine.restore("run", "--snapshot", NAME), machine.restore("run"), machine.lifecycle("--dry-run")]
    runs += [machine.lifecycle(), machine.backup("--accept-gap", f"no{NAME}"), world.machine(f"i-{name}").boot()]
    lines = world.get(LATEST_MANIFEST).splitlines(keepends=True)
    world.put(LATEST_MANIFEST, lines[0].replace(b'"stack":"', b'"stack":"\\u001b]0;owned') + b"".join(lines[1:]))
    for key in world.keys("latest/.openclaw/") + world.keys("latest/.encoded/"):
        world.put(key, "rot")
    runs += [machine.restore("list"), machine.restore("verify"), world.machine("i-last").boot()]
    world.put("owner.json", '{"epoch": 1, "instance_id": "\\u001b]0;owned\\u0007", "since": "", "released": false}')
    runs += [machine.backup(), machine.restore("run", "--force"), world.machine("i-none").boot()]
    for run in runs:
        require_plain(run)
    assert sum("\\x1b]0;owned" in run.out + run.err for run in runs) > 8


def calls_that_print() -> Iterator[str]:
    for place in sorted((SCRIPTS / "openclaw_agent").rglob("*.py")):
        for node in ast.walk(ast.parse(place.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "sys.stdout.write",
                "sys.stderr.write",
            ):
                yield place.relative_to(SCRIPTS).as_posix()


def test_one_module_of_the_agent_writes_to_the_terminal() -> None:
    assert {*calls_that_print()} == {"openclaw_agent/streams.py"}
