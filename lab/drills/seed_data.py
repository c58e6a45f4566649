"""Seed data, made and looked up through the gateway's own CLI: what a person would miss after a restore."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from lab.image.root_image import Gateway
from lab.machine.machine import Machine
from lab.world.gateway_life import gateway_cli
from lab.world.terminal import CheckFailed
from lab.world.waiting import require, until
from lab.world.world import STATE, sh, write_note

HERE = Path(__file__).parent
LIBEXEC = "/usr/local/libexec"
CONFIG_KEY = "session.reset.idleMinutes"
CONFIG_VALUE = "4321"
CRON_JOB = "water-the-plants"
DEVICE = "the-labs-phone"
PROFILE = "anthropic:manual"
MEMORY = "The lobster lives under the blue rock."
NOTE = "workspace/plans/winter garden.md"
NOTE_TEXT = "Tomatoes next to the south wall.\n"
APPROVE_UNIT = "openclaw-auto-approve.service"


@dataclass(slots=True)
class SeedData:
    """The state of one person; with the gateway's stand-in only its files.

    `is_there` is true from when all of it was found until somebody lost track of it: asking takes ten seconds.
    """

    gateway: Gateway
    is_there: bool = False

    def create(self, machine: Machine) -> list[str]:
        """Make everything that is not there, and return it in words."""
        if self.is_there or not self.missing(machine):
            return []
        write_note(machine, NOTE, NOTE_TEXT)
        write_note(machine, "workspace/MEMORY.md", f"# Memory\n{MEMORY}\n")
        if self.gateway is not Gateway.OPENCLAW:
            return ["files of the workspace"]
        gateway_cli(machine, ["config", "set", CONFIG_KEY, CONFIG_VALUE])
        gateway_cli(
            machine,
            ["cron", "add", "--name", CRON_JOB, "--every", "12h", "--system-event", "hello", "--disabled", "--json"],
        )
        gateway_cli(
            machine, ["models", "auth", "paste-api-key", "--provider", "anthropic"], given="sk-ant-of-the-lab\n"
        )
        gateway_cli(machine, ["memory", "index", "--force"])
        self._pair_a_device(machine)
        left = self.missing(machine)
        require(not left, f"The gateway's CLI did not take {', '.join(left)}.")
        return ["a config value", "a cron job", "an auth profile", "an indexed memory", "a paired device", "a note"]

    def missing(self, machine: Machine) -> list[str]:
        """What of it the gateway does not know (any more)."""
        note = machine.path(f"{STATE}/{NOTE}")
        rows = [("the note", note.exists() and note.read_text() == NOTE_TEXT)]
        if self.gateway is Gateway.OPENCLAW:
            asked = {
                "the config value": (["config", "get", CONFIG_KEY], CONFIG_VALUE),
                "the cron job": (["cron", "list", "--all", "--json"], CRON_JOB),
                "the paired device": (["devices", "list", "--json"], f'"displayName": "{DEVICE}"'),
                "the auth profile": (["models", "auth", "list", "--json"], PROFILE),
                "the indexed memory": (["memory", "search", "lobster", "--json"], MEMORY),
            }
            rows += [(name, _says(machine, *question)) for name, question in asked.items()]
        missing = [name for name, holds in rows if not holds]
        self.is_there = not missing
        return missing

    def _pair_a_device(self, machine: Machine) -> None:
        for name in ("pair_device.sh", "far_away.mjs"):
            shutil.copy(HERE / name, machine.path(f"{LIBEXEC}/openclaw-lab-{name}"))
        # Who comes by way of a proxy that the gateway trusts is not let in without a word.
        gateway_cli(machine, ["config", "set", "gateway.trustedProxies", '["127.0.0.1"]', "--strict-json"])
        # Not openclaw-*: cloud_init hardens every service of that prefix.
        sh(
            machine,
            f"systemd-run --quiet --collect --unit=lab-device {LIBEXEC}/openclaw-lab-pair_device.sh "
            f"{LIBEXEC}/openclaw-lab-far_away.mjs {DEVICE}",
        )
        until("the device's request", lambda: DEVICE in json.dumps(_devices(machine)["pending"]), 60, every=0.5)
        sh(machine, f"systemctl start {APPROVE_UNIT}")
        require(not _devices(machine)["pending"], f"{APPROVE_UNIT} has left a device waiting.")
        sh(machine, "systemctl stop lab-device.service || :")


def _says(machine: Machine, arguments: list[str], expected: str) -> bool:
    try:
        return expected in gateway_cli(machine, arguments)
    except CheckFailed:
        # Asked for what does not exist, the CLI fails.
        return False


def _devices(machine: Machine) -> dict[str, list[object]]:
    listed: dict[str, list[object]] = json.loads(gateway_cli(machine, ["devices", "list", "--json"]))
    return listed
