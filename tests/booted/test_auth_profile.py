"""The key that opens stored auth profiles lies outside of OpenClaw's state folder, and comes back all the same."""

import shutil
from pathlib import Path

import pytest

from lab.image.root_image import Gateway
from lab.machine.machine import Machine
from lab.world.gateway_life import AS_GATEWAY, GATEWAY_UNIT, HOLD, RESTORE_UNIT, hold_gateway, is_active
from lab.world.waiting import until
from lab.world.world import STATE, World, back_up, sh

pytestmark = [pytest.mark.booted, pytest.mark.subprocess]

SEAL = Path(__file__).with_name("seal_auth_profile.mjs")
PROGRAM = "/usr/local/libexec/openclaw-lab-seal.mjs"
HOME = "/home/node"
KEY = ".config/openclaw/auth-profile-secret-key"
OPENED = "Migrated 1 legacy Codex OAuth profile"
SHUT = "Could not decrypt legacy OAuth sidecar"


def in_place_of_the_gateway(machine: Machine, command: str) -> str:
    """Run a command as the stopped gateway's container would: its mounts, its user, its environment."""
    mounts = sh(machine, f"systemctl show --property=TemporaryFileSystem,BindPaths {GATEWAY_UNIT}").splitlines()
    # `show` joins the mounts of a property by spaces and adds the kind of each bind mount.
    properties = " ".join(f"--property='{line.replace(':rbind', '')}'" for line in mounts)
    line = f"systemd-run --quiet --wait --pipe {properties} {AS_GATEWAY} {command} 2>&1 || :"
    return sh(machine, line, seconds=180)


def doctor(machine: Machine) -> str:
    return " ".join(
        in_place_of_the_gateway(machine, "openclaw doctor --fix --non-interactive").replace("│", "").split()
    )


def test_a_login_that_was_sealed_with_it_still_opens_after_a_restore(machine: Machine, world: World) -> None:
    if world.host.image.gateway is not Gateway.OPENCLAW:
        pytest.skip("the stand-in for the gateway stores no auth profiles")
    shutil.copy(SEAL, machine.path(PROGRAM))
    machine.path(PROGRAM).chmod(0o644)
    sh(machine, f"rm -f /etc/systemd/system/{GATEWAY_UNIT}.d/zz-hold.conf; systemctl daemon-reload")
    sealed = f"node {PROGRAM} {HOME}/.openclaw {HOME}/.persistent/.config/openclaw token-of-the-lab"
    sh(machine, f"systemctl stop {GATEWAY_UNIT}")
    in_place_of_the_gateway(machine, sealed)
    assert machine.path(f"{STATE}/{KEY}").is_file()
    # With a retired kind of login the gateway waits for `doctor`; the backup is typed by hand.
    sh(machine, "openclaw-s3-backup.py")
    assert f"latest/.openclaw/{KEY}" in world.keys("latest/")

    world.lose_machine()
    replacement = world.boot_replacement()
    hold_gateway(replacement)
    until("the restore", lambda: is_active(replacement, RESTORE_UNIT), 180)
    sh(replacement, f"systemctl stop {GATEWAY_UNIT}; rm {HOLD}; python3.11 /usr/local/bin/openclaw-fetch-secrets.py")
    saved = sh(replacement, f"cp -a {STATE} /var/tmp/sealed && rm {STATE}/{KEY} && echo kept")
    assert saved == "kept\n"
    # Without the key it does not open: what follows is not true for nothing.
    told = doctor(replacement)
    assert SHUT in told, told
    sh(replacement, f"rm -rf {STATE} && mv /var/tmp/sealed {STATE}")
    told = doctor(replacement)
    assert OPENED in told, told
    assert SHUT not in told
    sh(replacement, f"systemctl start --no-block {GATEWAY_UNIT}")
    replacement.wait_for_gateway()
    assert back_up(replacement)["result"] == "done"
