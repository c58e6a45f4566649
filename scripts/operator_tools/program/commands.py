"""Every command of `openclaw-lab` on the operator's machine, one row each; what is not built has no row."""

from dataclasses import dataclass
from importlib import import_module
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Command:
    """A word of the program, its summary, and its module below `operator_tools`, with `add_arguments` and `run`."""

    name: str
    summary: str
    module: str

    def load(self) -> ModuleType:
        """Import the module; what it needs of AWS it imports only once it runs."""
        return import_module(f"operator_tools.{self.module}")


COMMANDS: tuple[Command, ...] = (
    Command("wizard", "set up by questions: region, type, zone, mail, secrets; nothing is deployed", "wizard.command"),
    Command("doctor", "check what a deployment needs: account, quota, programs, settings, secrets", "doctor.command"),
    Command("prices", "compare spot prices by type and zone", "prices.lab_command"),
    Command("cost", "show what a month costs, item by item, beside the naive way", "cost.command"),
    Command("secrets", "store the gateway's secrets in SSM, and check that they are there", "secrets_store.command"),
    Command("preview", "show what up would change", "deployment.preview"),
    Command("up", "deploy both stacks, and wait until the gateway is ready", "deployment.up"),
    Command("status", "show on one screen whether all is safe, and what runs", "overview.status"),
    Command("outputs", "show what the stack's things are called", "overview.outputs"),
    Command("logs", "show what the gateway, the agent or the boot has said", "overview.logs"),
    Command("tunnel", "bring the gateway's port to this machine, until Ctrl-C", "instance.tunnel"),
    Command("devices", "list the devices that ask to be paired, and let them in", "instance.devices"),
    Command("connect", "open a shell on the instance", "instance.connect"),
    Command("backup-now", "back up at once", "instance.backup_now"),
    Command("snapshots", "list the snapshots: the newest, then a line a day; or a calendar", "snapshots.list"),
    Command("find", "show in which versions a file is kept, over all snapshots", "snapshots.find"),
    Command("diff", "show what differs between two snapshots", "snapshots.diff"),
    Command("restore", "bring a snapshot back, with a look and a question before", "instance.restore"),
    Command("drill", "prove the newest backup: restore it into a scratch folder, open its databases", "instance.drill"),
    Command("undelete", "bring a paused stack's backups back as they stood at a moment", "undelete.lab_command"),
    Command("pause", "end the instance after a final backup, and keep it so", "power.pause"),
    Command("resume", "bring a paused stack back from its last backup", "power.resume"),
    Command("destroy", "destroy both stacks, but no bucket that holds data", "deployment.destroy"),
)
