"""Gateways that a backup may freeze: none, two files, or a process and what the kernel says of it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from lab.host.deadline import scaled
from openclaw_agent.host.freezer import Gateway


@dataclass(frozen=True, slots=True)
class GatewayProcess:
    """A running process."""

    pid: int

    @property
    def stands_still(self) -> bool:
        # The state follows the name, which is in parentheses (proc(5)).
        return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"

    def runs_again(self, within: float = 3.0) -> bool:
        """Whether it runs, or is thawed in that many seconds."""
        end = time.monotonic() + scaled(within)
        while self.stands_still:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGCONT)
                return False
            time.sleep(0.005)
        return True


class Stopped:
    """A gateway that does not run."""

    def running_gateway(self) -> None:
        """None, without a question to anybody."""


@dataclass(frozen=True, slots=True)
class GatewayOfFiles:
    """A gateway of two files: `calls` lists what was asked of it; `frozen` exists while it is frozen.

    `freeze_ends` and `thaw_ends` are how the two scripts end.
    """

    folder: Path
    freeze_seconds: float = 0.0
    freeze_ends: str = "exit 0"
    thaw_seconds: float = 0.0
    thaw_ends: str = "rm -f frozen"

    @property
    def gateway(self) -> Gateway:
        freeze = f"sleep {self.freeze_seconds}; : > frozen; echo freeze >> calls; {self.freeze_ends}"
        thaw = f"sleep {self.thaw_seconds}; echo thaw >> calls; {self.thaw_ends}"
        return Gateway(self._shell(freeze), self._shell(thaw))

    def running_gateway(self) -> Gateway | None:
        return self.gateway

    def calls(self) -> list[str]:
        log = self.folder / "calls"
        return log.read_text().split() if log.exists() else []

    def stands_still(self) -> bool:
        return (self.folder / "frozen").exists()

    def _shell(self, script: str) -> tuple[str, ...]:
        return ("sh", "-c", f"cd '{self.folder}'; {script}")


@dataclass(frozen=True, slots=True)
class SignalFreezer:
    """Freezes one process by SIGSTOP, and returns once it stands still."""

    pid: int

    def running_gateway(self) -> Gateway | None:
        # The third word of a process's status line is its state; T is stopped (proc(5)).
        standing = f'read -r _ _ state _ </proc/{self.pid}/stat && [ "$state" = T ]'
        return Gateway(
            ("/bin/sh", "-c", f"kill -STOP {self.pid}; until {standing}; do :; done"),
            ("/bin/sh", "-c", f"kill -CONT {self.pid}"),
        )
