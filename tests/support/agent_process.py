"""Running the agent as a process of its own, from a fork server that has everything imported."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.host.deadline import scaled

REPOSITORY = Path(__file__).resolve().parents[2]
BUCKET = "faulty-bucket"
NO_STEP = 0


@dataclass(frozen=True, slots=True)
class AgentProcess:
    """One instance: its id, this boot's id, and its two folders below `root`."""

    root: Path
    instance_id: str
    boot_id: str = "boot-1"

    @property
    def state_dir(self) -> Path:
        return self.root / "home" / ".openclaw"

    @property
    def agent_dir(self) -> Path:
        return self.root / "agent"

    @property
    def log_dir(self) -> Path:
        return self.root / "log"

    def environment(self, endpoint: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "OPENCLAW_"))}
        return kept | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "OPENCLAW_AGENT_SETTINGS": str(self.root / "no-settings.json"),
            "OPENCLAW_AGENT_DIR": str(self.agent_dir),
            "OPENCLAW_LOG_DIR": str(self.log_dir),
            "OPENCLAW_STATE_DIR": str(self.state_dir),
            "OPENCLAW_INSTANCE_ID": self.instance_id,
            "OPENCLAW_BOOT_ID": self.boot_id,
            "OPENCLAW_S3_ATTEMPTS": "3",
            "OPENCLAW_S3_STALL_SECONDS": "5",
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its exit code (negative for a signal), and what it printed."""

    code: int
    text: str

    @property
    def killed(self) -> bool:
        return self.code == -9


@dataclass(frozen=True, slots=True)
class Run:
    """What a process does: agent commands one after the other, and how it is disturbed."""

    commands: Sequence[Sequence[str]]
    gateway: int = 0
    clock: str = ""
    stop_at: int = NO_STEP
    side: str = "before"
    lookout: str = ""
    uid: int = 0
    largest_file: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)


class AgentLauncher:
    """The fork server's other end."""

    def __init__(self, scratch: Path) -> None:
        self._output = scratch / "output"
        self._server = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.support.fork_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"PYTHONPATH": f"{REPOSITORY / 'scripts'}:{REPOSITORY}", "AWS_EC2_METADATA_DISABLED": "true"},
        )

    def run(
        self,
        machine: AgentProcess,
        endpoint: str,
        order: Run,
        started: Callable[[int], None] = lambda _pid: None,
    ) -> Outcome:
        """Run to the end; `started` is told the process id before the first command begins."""
        machine.root.mkdir(exist_ok=True)
        machine.state_dir.parent.mkdir(exist_ok=True)
        self._output.unlink(missing_ok=True)
        self._send(
            {
                "commands": [["" + word for word in command] for command in order.commands],
                "environment": machine.environment(endpoint) | dict(order.environment),
                "output": str(self._output),
                "gateway": order.gateway,
                "clock": order.clock,
                "stop_at": order.stop_at,
                "side": order.side,
                "lookout": order.lookout,
                "uid": order.uid,
                "largest_file": order.largest_file,
            }
        )
        started(self._receive()["pid"])
        self._send("go")
        code = os.waitstatus_to_exitcode(self._receive()["status"])
        return Outcome(code, self._output.read_text(errors="replace") if self._output.exists() else "")

    def stop(self) -> None:
        if self._server.stdin:
            self._server.stdin.close()
        self._server.wait(scaled(10))
        if self._server.stdout:
            self._server.stdout.close()

    def _send(self, message: object) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(message) + "\n")
        self._server.stdin.flush()

    def _receive(self) -> dict[str, int]:
        assert self._server.stdout is not None
        answer: dict[str, int] = json.loads(self._server.stdout.readline())
        return answer


def command(name: str, *arguments: str) -> tuple[str, ...]:
    return (name, "--bucket", BUCKET, "--region", "us-east-1", *arguments)
