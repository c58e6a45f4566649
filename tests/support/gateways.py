"""A process that a backup may freeze, and what the kernel says of it."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


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
        end = time.monotonic() + within
        while self.stands_still:
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGCONT)
                return False
            time.sleep(0.005)
        return True
