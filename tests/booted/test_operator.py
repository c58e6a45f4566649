"""The operator's program on a laptop, against the booted instance: through Run Command and Session Manager."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host.deadline import scaled
from lab.machine.machine import Machine
from lab.world.deployment import REPOSITORY
from lab.world.waiting import until
from lab.world.world import STATE, World, back_up, sh, write_note

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

PROGRAM = REPOSITORY / "scripts" / "openclaw-lab"
PLUGIN = REPOSITORY / "lab" / "machine" / "session_manager_plugin.py"


@pytest.fixture
def laptop(world: World, machine: Machine, tmp_path: Path) -> dict[str, str]:
    """The environment of a person's own machine, with the stand-in for their Session Manager plugin."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "session-manager-plugin").symlink_to(PLUGIN)
    (tmp_path / "machines.json").write_text(json.dumps({machine.instance_id: machine.init_pid}))
    return {
        **os.environ,
        **world.aws.environment,
        "PATH": f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
        "LAB_MACHINES": str(tmp_path / "machines.json"),
        "HOME": str(tmp_path),
        "TZ": "UTC",
    }


def lab(laptop: dict[str, str], *words: str, code: int = 0, answer: str = "") -> str:
    """Type `openclaw-lab WORDS`; it must end with this code; returns what it printed."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *words],
        env=laptop,
        input=answer,
        capture_output=True,
        text=True,
        timeout=scaled(600),
        check=False,
    )
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_status_tells_of_gateway_backup_and_timers(world: World, machine: Machine, laptop: dict[str, str]) -> None:
    back_up(machine)
    told = json.loads(lab(laptop, "status", "--json"))

    assert told["instance"]["gateway"]["ready"] is True
    assert told["instance"]["gateway"]["image"].startswith("ghcr.io/openclaw/openclaw:")
    assert told["instance"]["next"]["openclaw-s3-backup.timer"] is not None
    assert told["instance"]["failed_units"] == []
    assert told["last_backup"]["name"] == world.complete_snapshots()[-1]
    assert told["safe"] is True, told["verdict"]
    shown = lab(laptop, "status")
    assert shown.startswith("Safe: what is there is backed up.")
    assert f"instance  {machine.instance_id}, " in shown


def test_a_restore_is_one_command_and_its_undo_another(world: World, machine: Machine, laptop: dict[str, str]) -> None:
    write_note(machine, "workspace/notes.md", "as it was\n")
    wanted = str(back_up(machine)["snapshot"])
    write_note(machine, "workspace/notes.md", "spoilt\n")
    write_note(machine, "workspace/later.md", "made later\n")
    back_up(machine)
    # What no backup has yet.
    write_note(machine, "workspace/last.md", "the last minute's work\n")

    looked = lab(laptop, "restore", "--at", wanted, "--dry-run")
    assert "  ~ workspace/notes.md  (7 B becomes 10 B)" in looked
    assert "  - workspace/later.md  (11 B)" in looked
    assert sh(machine, f"cat {STATE}/workspace/notes.md") == "spoilt\n"

    done = json.loads(lab(laptop, "restore", "--at", wanted, "--yes", "--json"))

    assert (done["snapshot"], done["backup"]["result"]) == (wanted, "done")
    assert done["kept_as"] in world.complete_snapshots()
    assert sh(machine, f"cat {STATE}/workspace/notes.md") == "as it was\n"
    assert sh(machine, f"ls {STATE}/workspace").split().count("later.md") == 0
    answer = machine.gateway_answer()
    assert answer is not None
    assert answer["ready"] is True
    # A lost instance comes back with what was restored.
    assert world.body("latest/.openclaw/workspace/notes.md") == b"as it was\n"

    assert done["undo"] == f"openclaw-lab restore --at {done['kept_as']}"
    undone = lab(laptop, *done["undo"].split()[1:], "--yes")
    assert f"Restored {done['kept_as']}." in undone
    assert (
        sh(machine, f"cat {STATE}/workspace/notes.md {STATE}/workspace/last.md") == "spoilt\nthe last minute's work\n"
    )


def test_one_file_comes_back_and_nothing_else_changes(machine: Machine, laptop: dict[str, str]) -> None:
    write_note(machine, "workspace/one.md", "one, as it was\n")
    write_note(machine, "workspace/two.md", "two\n")
    wanted = str(back_up(machine)["snapshot"])
    write_note(machine, "workspace/one.md", "one, spoilt\n")
    write_note(machine, "workspace/two.md", "two, and more\n")

    done = lab(laptop, "restore", "--at", wanted, "--path", "workspace/one.md", "--yes")

    assert sh(machine, f"cat {STATE}/workspace/one.md {STATE}/workspace/two.md") == "one, as it was\ntwo, and more\n"
    assert "--path workspace/one.md" in done.splitlines()[-1]


def test_nobody_who_says_yes_changes_nothing(world: World, machine: Machine, laptop: dict[str, str]) -> None:
    write_note(machine, "workspace/notes.md", "first\n")
    wanted = str(back_up(machine)["snapshot"])
    write_note(machine, "workspace/notes.md", "second\n")

    said = lab(laptop, "restore", "--at", wanted, code=2)

    assert "Nothing was changed: there is no terminal to answer on." in said
    assert sh(machine, f"cat {STATE}/workspace/notes.md") == "second\n"
    # The state of now was kept before anything was asked.
    assert world.body("latest/.openclaw/workspace/notes.md") == b"second\n"


def test_a_backup_from_the_laptop_is_a_backup(world: World, machine: Machine, laptop: dict[str, str]) -> None:
    write_note(machine, "workspace/notes.md", f"{time.time_ns()}\n")
    said = lab(laptop, "backup-now")

    assert said.startswith(f"Backed up as {world.complete_snapshots()[-1]}: ")
    assert "gateway frozen" in said


def test_the_same_words_work_on_the_instance(world: World, machine: Machine) -> None:
    write_note(machine, "workspace/notes.md", "on the instance\n")
    back_up(machine)
    newest = world.complete_snapshots()[-1]

    assert newest in sh(machine, "sudo openclaw-lab snapshots")
    assert f"workspace/notes.md  {newest}" in sh(machine, "sudo openclaw-lab find notes.md")
    assert "gateway   ready" in sh(machine, "sudo openclaw-lab status")
    assert "Restoring it would:" in sh(machine, f"sudo openclaw-lab restore --at {newest} --dry-run")
    refused = machine.run(["openclaw-lab", "restore", "--at", newest])
    assert (refused.exit_code, refused.stderr.strip().splitlines()[-1]) == (
        2,
        "openclaw-lab: Nothing was changed: there is no terminal to answer on. Next: the same with --yes",
    )


def test_a_drill_proves_the_newest_backup_and_leaves_nothing(
    world: World, machine: Machine, laptop: dict[str, str]
) -> None:
    newest = str(back_up(machine)["snapshot"] or world.complete_snapshots()[-1])
    said = lab(laptop, "drill")
    assert said.startswith(f"Proven: {newest} was restored, ")
    assert sh(machine, "ls -d /var/tmp/openclaw-drill-* 2>/dev/null || true") == ""

    sh(machine, "systemctl start openclaw-s3-drill.service", seconds=300)
    told = json.loads(lab(laptop, "status", "--json"))["instance"]
    assert (told["last_drill"]["result"], told["last_drill"]["snapshot"]) == ("proven", newest)
    assert told["next"]["openclaw-s3-drill.timer"] is not None


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def tunnel(laptop: dict[str, str], free_port: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(PROGRAM), "tunnel", "--port", str(free_port)]
    with subprocess.Popen(command, env=laptop, stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        yield running
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGINT)
            running.wait(30)


def test_the_tunnel_brings_the_gateway_here(tunnel: subprocess.Popen[str], free_port: int) -> None:
    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://localhost:{free_port}/readyz", timeout=scaled(10)) as answer:
                return bool(json.loads(answer.read())["ready"])
        except OSError:
            return False

    until("the gateway through the tunnel", ready, 60)
    os.killpg(tunnel.pid, signal.SIGINT)
    said, _ = tunnel.communicate(timeout=scaled(30))
    assert tunnel.returncode == 0
    assert f"http://localhost:{free_port}/ is the gateway on i-" in said
    assert "secrets show OPENCLAW_GATEWAY_TOKEN" in said
