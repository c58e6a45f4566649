"""One embedded instance: a root booted by systemd-nspawn with its own disk, network and metadata service."""

import json
import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.host.cgroups import create_cgroups, host_runs_systemd, remove_cgroup
from lab.host.commands import Outcome, run_command
from lab.host.deadline import Deadline
from lab.host.errors import MachineFailed
from lab.host.gateway_engine import GatewayEngine
from lab.machine.disk import Disk
from lab.machine.imds import ImdsServer
from lab.machine.network import Port

BOOT_SCRIPT = Path(__file__).with_name("machine_boot.sh")
POWER_OFF_SIGNAL = signal.SIGRTMIN + 4  # systemd(1): starts poweroff.target
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_TO_SPAWN = 30
SECONDS_TO_DIE = 15
BARE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}
LAST_LINES_OF_THE_CONSOLE = 20


@dataclass(frozen=True, slots=True)
class CloudInitResult:
    """How cloud-init's last run ended; no errors is success."""

    errors: tuple[str, ...]
    seconds_after_start: float

    @property
    def succeeded(self) -> bool:
        """Whether every module and every command of the user-data ended well."""
        return not self.errors


@dataclass(slots=True)
class Machine:
    """A machine with the life of an EC2 instance: started, entered, cut off, powered off, or gone in an instant.

    Made by MachineFleet, which knows the image and the network. Not meant for use from several threads at once.
    """

    name: str
    instance_id: str
    disk: Disk
    port: Port
    imds: ImdsServer
    engine: GatewayEngine = GatewayEngine.UNIT
    _supervisor: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _cgroups: tuple[Path, ...] = field(default=(), init=False)
    _started_at: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Powers the machine on; returns once its init runs. On a used disk this is a reboot of the same instance."""
        if self.is_running:
            raise MachineFailed(f"{self.instance_id} is running already.")
        self._drop_supervisor()
        if not host_runs_systemd():
            self._cgroups = create_cgroups(self.name)
        lower = ":".join(map(str, self.disk.lower))
        self._started_at = time.monotonic()
        with self.console_log.open("ab") as console:
            self._supervisor = subprocess.Popen(  # noqa: S603 - fixed program, no shell string
                [
                    *("unshare", "--mount", str(BOOT_SCRIPT), str(self.disk.folder), lower),
                    *(str(self.port.namespace_path), self.name, self.engine.value, *map(str, self._cgroups)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = Deadline(SECONDS_TO_SPAWN)
        while self.init_pid is None:
            if self._supervisor.poll() is not None or deadline.passed():
                self.power_cut()
                raise MachineFailed(f"{self.instance_id} did not start. Its console says: {self.console_end()}")
            time.sleep(SECONDS_BETWEEN_LOOKS)

    @property
    def is_running(self) -> bool:
        """Whether the machine is powered on."""
        return self._supervisor is not None and self._supervisor.poll() is None

    @property
    def init_pid(self) -> int | None:
        """The host's number for the machine's init (it changes with a reboot), or None if there is none now."""
        if self._supervisor is None or self._supervisor.poll() is not None:
            return None
        for child in _children(self._supervisor.pid):
            if _is_init_of_another_namespace(child):
                return child
        return None

    @property
    def console_log(self) -> Path:
        """What the machine's console and nspawn have printed."""
        return self.disk.folder / "console.log"

    @property
    def enter_command(self) -> str:
        """The command with which a person enters the machine, typed on the host as root."""
        return shlex.join([*self._nsenter(), "/bin/bash", "--login"])

    def path(self, inside: str) -> Path:
        """Returns the host's path for an absolute path of the running machine (absolute symlinks are not followed)."""
        return Path(f"/proc/{self._require_init()}/root", inside.lstrip("/"))

    def wait_for_cloud_init(self, timeout_seconds: float = 300) -> CloudInitResult:
        """Waits until cloud-init has run all of the user-data, and returns what went wrong in it, if anything did.

        Raises MachineFailed when the machine ends before, or the time does.
        """
        deadline = Deadline(timeout_seconds)
        while not deadline.passed():
            try:
                written = self.path("/run/cloud-init/result.json").read_text()
                errors = json.loads(written)["v1"]["errors"]
                return CloudInitResult(tuple(map(str, errors)), round(time.monotonic() - self._started_at, 1))
            except (FileNotFoundError, NotADirectoryError, ProcessLookupError, json.JSONDecodeError):
                time.sleep(SECONDS_BETWEEN_LOOKS)
        raise MachineFailed(f"cloud-init on {self.instance_id} did not end within {timeout_seconds:g} s.")

    def wait_until_booted(self, timeout_seconds: float = 120) -> str:
        """Waits until systemd has no job left, and returns its verdict, such as `running` or `degraded`."""
        waited = self.run(["systemctl", "is-system-running", "--wait"], timeout_seconds=timeout_seconds)
        return waited.stdout.strip()

    def run(
        self,
        arguments: list[str],
        *,
        timeout_seconds: float = 60,
        input_text: str | None = None,
        environment: dict[str, str] | None = None,
    ) -> Outcome:
        """Runs a command inside as root, with the environment of /etc/environment; any exit code is returned."""
        inside = {**BARE_ENVIRONMENT, **self._environment(), **(environment or {})}
        return run_command(
            [*self._nsenter(), "env", "-i", *(f"{name}={value}" for name, value in inside.items()), *arguments],
            timeout_seconds=timeout_seconds,
            input_text=input_text,
        )

    def journal(self, unit: str, *, lines: int | None = None) -> str:
        """Returns what a unit has said since the machine was created (or its last lines)."""
        limit = [f"--lines={lines}"] if lines is not None else []
        return self.run(["journalctl", "--no-pager", "--output=short-precise", f"--unit={unit}", *limit]).stdout

    def gateway_answer(self, page: str = "readyz") -> dict[str, object] | None:
        """Returns the JSON of the gateway's health page, or None while it does not answer with JSON."""
        asked = self.run(["curl", "--silent", "--max-time", "5", f"http://127.0.0.1:18789/{page}"])
        try:
            answer = json.loads(asked.stdout)
        except json.JSONDecodeError:
            return None
        return answer if isinstance(answer, dict) else None

    def wait_for_gateway(self, timeout_seconds: float = 120) -> float:
        """Waits until the gateway's /readyz says ready, and returns the seconds since the machine was started."""
        deadline = Deadline(timeout_seconds)
        answer = None
        while not deadline.passed():
            answer = self.gateway_answer()
            if answer is not None and answer.get("ready") is True:
                return round(time.monotonic() - self._started_at, 1)
            time.sleep(0.25)
        raise MachineFailed(
            f"The gateway on {self.instance_id} was not ready within {timeout_seconds:g} s; /readyz says {answer}."
        )

    def power_cut(self) -> None:
        """Ends everything on the machine in an instant, as when a spot instance vanishes; the disk stays."""
        init = self.init_pid
        if init is not None:
            _kill(init)
        elif self.is_running and self._supervisor is not None:
            _kill(self._supervisor.pid)
        self._wait_until_off(SECONDS_TO_DIE)
        self._drop_supervisor()

    def shutdown(self, timeout_seconds: float = 240) -> None:
        """Powers off cleanly, stop actions of the units included; raises MachineFailed if that takes too long."""
        if self.is_running:
            os.kill(self._require_init(), POWER_OFF_SIGNAL)
            if not self._wait_until_off(timeout_seconds):
                raise MachineFailed(f"{self.instance_id} did not power off within {timeout_seconds:g} s.")
        self._drop_supervisor()

    def reboot(self) -> None:
        """Powers off cleanly and on again, with the same disk."""
        self.shutdown()
        self.start()

    def partition(self) -> None:
        """Cuts the machine off from everything but its metadata service, while it runs on."""
        self.port.unplug()

    def heal(self) -> None:
        """Ends a partition."""
        self.port.plug_in()

    def console_end(self) -> str:
        """Returns the last lines of the console."""
        if not self.console_log.exists():
            return "nothing"
        return "\n".join(self.console_log.read_text(errors="replace").splitlines()[-LAST_LINES_OF_THE_CONSOLE:])

    def _environment(self) -> dict[str, str]:
        try:
            lines = self.path("/etc/environment").read_text().splitlines()
        except OSError:
            return {}
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def _nsenter(self) -> list[str]:
        return ["nsenter", "--target", str(self._require_init()), "-m", "-p", "-u", "-i", "-n", "-C", "--"]

    def _require_init(self) -> int:
        init = self.init_pid
        if init is None:
            raise MachineFailed(f"{self.instance_id} is not running. Its console says: {self.console_end()}")
        return init

    def _wait_until_off(self, timeout_seconds: float) -> bool:
        if self._supervisor is None:
            return True
        deadline = Deadline(timeout_seconds)
        while self._supervisor.poll() is None:
            if deadline.passed():
                return False
            time.sleep(SECONDS_BETWEEN_LOOKS)
        return True

    def _drop_supervisor(self) -> None:
        if self.is_running and self._supervisor is not None:
            _kill(self._supervisor.pid)
            self._wait_until_off(SECONDS_TO_DIE)
        self._supervisor = None
        for cgroup in self._cgroups:
            remove_cgroup(cgroup)
        self._cgroups = ()


def _children(pid: int) -> tuple[int, ...]:
    try:
        return tuple(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except FileNotFoundError:
        return ()


def _is_init_of_another_namespace(pid: int) -> bool:
    """Says whether this is pid 1 of a namespace and has become systemd (nspawn's own helpers come before it)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return (
            "\nNSpid:\t" in status
            and status.split("\nNSpid:\t", 1)[1].split("\n", 1)[0].endswith("\t1")
            and (Path(f"/proc/{pid}/comm").read_text().strip() == "systemd")
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
