"""What the gateway can write is no path of root's and no instruction to it, on the instance with its real units."""

import pytest

from lab.machine.machine import Machine
from lab.world.gateway_life import GATEWAY_UNIT
from lab.world.world import STATE, World, back_up, sh, write_note

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

REGION = "us-east-1"
DECOY = "/srv/decoy"
AS_GATEWAY = "setpriv --reuid=1000 --regid=1000 --clear-groups"


def picture(machine: Machine) -> str:
    """Names, modes, owners, times and content of what lies outside of the state."""
    return sh(machine, f"find {DECOY} -printf '%p %m %U:%G %T@ %l\\n' | sort; find {DECOY} -type f | sort | xargs cat")


@pytest.fixture
def decoy(machine: Machine) -> str:
    sh(
        machine,
        f"rm -rf {DECOY}; mkdir -p {DECOY}/cron.d && echo keep > {DECOY}/cron.d/keep && chmod 0644 {DECOY}/cron.d/*",
    )
    return picture(machine)


def test_nobody_logs_in_as_the_containers_uid_or_by_ssh(machine: Machine) -> None:
    name = sh(machine, "id -un 1000").strip()
    assert sh(machine, f"getent passwd {name}").strip().rsplit(":", 1)[-1].endswith("/nologin")
    assert sh(machine, f"passwd --status {name}").split()[1].startswith("L")
    assert "is not allowed to run sudo" in sh(machine, f"sudo -l -U {name}")
    for unit in ("sshd.service", "sshd.socket", "ssh.service", "ssh.socket"):
        assert machine.run(["systemctl", "is-enabled", unit]).stdout.strip() == "masked"
    assert sh(machine, "ss --listening --tcp --numeric 'sport = :22' | tail -n +2") == ""


def test_the_paths_that_people_type_are_there_and_nothing_of_root_s_is_writable(machine: Machine) -> None:
    write_note(machine, "workspace/typed.md", "typed\n")
    assert sh(machine, "cat /opt/openclaw/.openclaw/workspace/typed.md /opt/openclaw/workspace/typed.md").split() == [
        "typed",
        "typed",
    ]
    assert "services:" in sh(machine, "cd /opt/openclaw && cat docker-compose.yaml")
    assert sh(machine, "head -1 /opt/openclaw/auto-approve-devices.sh") == "#!/bin/bash\n"
    assert sh(machine, "stat --format='%a %u' /opt/openclaw/.openclaw.incoming/") == "700 0\n"
    assert "nosymfollow" in sh(machine, "grep ' /opt/openclaw/view ' /proc/self/mountinfo")
    found = sh(
        machine,
        "find -L /opt/openclaw /opt/openclaw-agent -uid 1000 -not -path '/opt/openclaw/*/.openclaw*' "
        "-not -path '/opt/openclaw/.openclaw*' -not -path '/opt/openclaw/workspace*'",
    )
    assert found == ""


def test_the_notes_command_goes_nowhere_by_a_planted_link(machine: Machine, world: World, decoy: str) -> None:
    sh(machine, f"{AS_GATEWAY} mkdir -p {STATE}/cron.d && {AS_GATEWAY} sh -c 'echo evil > {STATE}/cron.d/evil'")
    name = str(back_up(machine)["snapshot"])
    sh(machine, f"{AS_GATEWAY} ln -sfn {DECOY} {STATE}/.openclaw")
    sync = f"sudo aws s3 sync s3://{world.bucket}/snapshots/{name}/ /opt/openclaw/.openclaw/ --region {REGION} --delete"
    tried = machine.run(["sh", "-c", sync])
    print(tried.exit_code, tried.stderr[-300:])
    assert picture(machine) == decoy
    # Once the link has gone, the same words do what they say.
    sh(machine, f"rm -f {STATE}/.openclaw; {sync}; sudo systemctl restart openclaw.service")
    machine.wait_for_gateway()
    assert machine.path(f"{STATE}/cron.d/evil").read_text() == "evil\n"
    assert picture(machine) == decoy


def test_a_planted_snapshot_starts_the_gateway_on_its_own_state(machine: Machine, world: World, decoy: str) -> None:
    write_note(machine, "workspace/own.md", "its own")
    name = str(back_up(machine)["snapshot"])
    machine.path(f"{STATE}/manifest.json").write_bytes(world.body(f"snapshots/{name}/manifest.json"))
    sh(
        machine,
        f"chown 1000:1000 {STATE}/manifest.json && {AS_GATEWAY} mkdir -p {STATE}/.openclaw/workspace"
        f" && {AS_GATEWAY} ln -sfn {DECOY}/cron.d/keep {STATE}/.openclaw/openclaw.json"
        f" && {AS_GATEWAY} sh -c 'echo forged > {STATE}/.openclaw/workspace/own.md'"
        f" && systemctl restart {GATEWAY_UNIT}",
    )
    machine.wait_for_gateway()
    assert machine.path(f"{STATE}/workspace/own.md").read_text() == "its own"
    assert picture(machine) == decoy
    assert back_up(machine)["result"] == "done"
    sh(machine, f"rm -rf {STATE}/.openclaw {STATE}/manifest.json")


def test_the_inbox_brings_a_snapshot_back(machine: Machine, world: World) -> None:
    write_note(machine, "workspace/own.md", "wanted")
    name = str(back_up(machine)["snapshot"])
    write_note(machine, "workspace/own.md", "later")
    sh(
        machine,
        f"sudo aws s3 sync s3://{world.bucket}/snapshots/{name}/ /opt/openclaw/.openclaw.incoming/ --region {REGION}"
        " && sudo systemctl restart openclaw.service",
    )
    machine.wait_for_gateway()
    assert machine.path(f"{STATE}/workspace/own.md").read_text() == "wanted"
    assert sh(machine, "ls -A /opt/openclaw/.openclaw.incoming/") == ""
