"""How a run ends when its outputs are closed, full or broken, and when it is asked to end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.host.deadline import scaled
from tests.support.samples import IN_FULL
from tests.support.simulated_instance import FreshBucket, SimulatedInstance

pytestmark = pytest.mark.subprocess
SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
MIB = 1024 * 1024


def command(machine: SimulatedInstance, name: str) -> list[str]:
    where = ("--bucket", machine.world.bucket, "--state-dir", str(machine.state))
    return [sys.executable, str(SCRIPTS / f"openclaw-s3-{name}.py"), *where]


def shell(machine: SimulatedInstance, text: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which @backup and @restore stand for the commands; it echoes their exit code last."""
    for name in ("backup", "restore"):
        text = text.replace(f"@{name}", " ".join(command(machine, name)))
    environment = {**os.environ, **machine.variables()}
    return subprocess.run(
        ["bash", "-c", f"exec 3>&1; {text}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=scaled(60),
        check=False,
    )


def line_of(machine: SimulatedInstance, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((machine.agent / "log" / f"{name}.log").read_text().splitlines()[-1])
    return found


OUTPUTS = [
    "@@ 2>&-; echo $? >&3",
    "@@ >&-; echo $? >&3",
    "@@ <&- >&- 2>&-; echo $? >&3",
    "@@ --json >/dev/full; echo $? >&3",
    "(@@ --json; echo $? >&3) | true",
    "(@@ 2>&1 >/dev/null; echo $? >&3) | true",
]


# An interpreter for each: in a sample each output is a backup's or a restore's.
@pytest.mark.parametrize("output", OUTPUTS if IN_FULL else OUTPUTS[::2])
def test_a_backup_whose_output_is_broken_is_done_and_logged(machine: SimulatedInstance, output: str) -> None:
    machine.write("notes.md")
    done = shell(machine, output.replace("@@", "@backup"))
    assert done.stdout.splitlines()[-1] == "0", done
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr
    assert line_of(machine, "backup")["result"] == "done"


@pytest.mark.parametrize("output", OUTPUTS if IN_FULL else OUTPUTS[1::2])
def test_a_restore_whose_output_is_broken_notes_that_this_boot_is_restored(
    world: FreshBucket, machine: SimulatedInstance, output: str
) -> None:
    machine.write("notes.md")
    assert machine.backup("--final").code == 0
    second = world.machine("second")
    done = shell(second, output.replace("@@", "@restore run"))
    assert done.stdout.splitlines()[-1] == "0", done
    assert line_of(second, "restore")["result"] == "restored"
    assert second.restore("--before-start").code == 0


LOOKS = ("--list", "--diff latest", "--verify")
LOOKED_AT_THROUGH = (*OUTPUTS[:3], "(@@; echo $? >&3) | true")
# An interpreter for each: in a sample each look and each output has its turn.
EACH_LOOK = [
    (flags, output)
    for place, output in enumerate(LOOKED_AT_THROUGH)
    for turn, flags in enumerate(LOOKS)
    if IN_FULL or turn == place % len(LOOKS)
]


@pytest.mark.parametrize(("flags", "output"), EACH_LOOK)
def test_a_look_whose_reader_has_left_ends_quietly(machine: SimulatedInstance, flags: str, output: str) -> None:
    machine.write("notes.md")
    assert machine.backup().code == 0
    done = shell(machine, output.replace("@@", f"@restore {flags}"))
    assert done.stdout.splitlines()[-1] == "0", done
    assert "rror" not in done.stderr


def test_a_result_that_does_not_fit_says_so_and_changes_nothing_else(machine: SimulatedInstance) -> None:
    machine.write("notes.md")
    done = shell(machine, "@backup --json >/dev/full")
    assert "The result cannot be printed (No space left on device); the run itself is not affected." in done.stderr


def test_a_backup_that_is_asked_to_end_says_so_logs_it_and_leaves_no_clone(machine: SimulatedInstance) -> None:
    (machine.state / "big").write_bytes(os.urandom(MIB) * 96)
    clone = machine.agent / "clone"
    run = start(machine, "backup")
    wait_until(run, lambda: clone.exists() and any(clone.iterdir()))
    ended_by_sigterm(run)
    assert line_of(machine, "backup")["result"] == "terminated"
    assert not clone.exists()
    os.truncate(machine.state / "big", MIB)
    assert machine.backup().code == 0


def test_a_restore_that_is_asked_to_end_removes_what_it_has_built(
    world: FreshBucket, machine: SimulatedInstance
) -> None:
    for number in range(400):
        machine.write(f"f{number}")
    assert machine.backup("--final").code == 0
    second = world.machine("second")
    building = second.disk / "state.restoring"
    run = start(second, "restore", "run")
    wait_until(run, lambda: building.exists() and len(list(building.iterdir())) > 50)
    ended_by_sigterm(run)
    assert line_of(second, "restore")["result"] == "terminated"
    assert not building.exists()
    assert second.restore().code == 0


def test_a_backup_that_is_interrupted_from_the_keyboard_says_so_in_one_sentence(machine: SimulatedInstance) -> None:
    (machine.state / "big").write_bytes(os.urandom(MIB) * 96)
    clone = machine.agent / "clone"
    run = start(machine, "backup")
    wait_until(run, lambda: clone.exists() and any(clone.iterdir()))
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=scaled(60))
    assert run.returncode == 1
    assert said.splitlines() == ["openclaw-s3-backup.py: Interrupted; nothing that was complete before is lost."]
    assert not clone.exists()


def test_verbose_shows_where_a_failure_comes_from(world: FreshBucket, machine: SimulatedInstance) -> None:
    world.put("owner.json", "no record")
    machine.write("notes.md")
    assert "Traceback" not in machine.backup().err
    run = machine.backup("--verbose")
    assert run.code == 1
    assert "\nTraceback (most recent call last):\n" in run.err
    assert run.err.splitlines()[-1].startswith("openclaw-s3-backup.py: ")


def start(machine: SimulatedInstance, name: str, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **machine.variables()}
    return subprocess.Popen([*command(machine, name), *words], env=environment, stderr=subprocess.PIPE, text=True)


def wait_until(run: subprocess.Popen[str], seen: object) -> None:
    assert callable(seen)
    while not seen():
        assert run.poll() is None, "the run ended before it could be stopped"
        time.sleep(0.005)


def ended_by_sigterm(run: subprocess.Popen[str]) -> None:
    run.terminate()
    _, said = run.communicate(timeout=scaled(60))
    # By the signal itself, as systemd expects of a service that it stops; a shell calls it 143.
    assert run.returncode == -signal.SIGTERM, said
    assert said.endswith("Asked to end (SIGTERM); nothing that was complete before is lost.\n"), said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("variable", "value", "code", "sentence"),
    [
        ("AWS_PROFILE", "nope", 1, "AWS cannot be asked: The config profile (nope) could not be found."),
        ("OPENCLAW_S3_ATTEMPTS", "x", 2, "OPENCLAW_S3_ATTEMPTS=x is not allowed: a whole number from 1 to 100."),
        ("OPENCLAW_S3_STALL_SECONDS", "nan", 2, "OPENCLAW_S3_STALL_SECONDS=nan is not allowed: a number from 0.1"),
    ],
)
def test_an_environment_that_is_wrong_is_one_sentence(
    machine: SimulatedInstance, variable: str, value: str, code: int, sentence: str
) -> None:
    machine.environment[variable] = value
    done = shell(machine, "@restore --list")
    assert done.returncode == code, done
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
