"""The agent's steps on its own machine, counted, so that a run can be ended or looked at around the n-th of them."""

import os
import signal
import socket
import subprocess
from typing import Any

from openclaw_agent.capture import capture
from openclaw_agent.state_dir import swap

# Every one of them changes what a crash leaves behind: names on disk, folders, a gateway that stands still.
LOCAL_STEPS: tuple[tuple[Any, str], ...] = (
    (os, "rename"),
    (os, "replace"),
    (os, "unlink"),
    (os, "rmdir"),
    (os, "mkdir"),
    (os, "symlink"),
    (os, "fsync"),
    (swap, "exchange"),
    (subprocess, "run"),
    (capture, "clone_file"),
    (os, "sendfile"),
)


class Steps:
    """Counts local steps, and ends the process without a goodbye at the one that was asked for.

    `lookout` is the address of somebody who wants to look on both sides of each step (crash_sample.py); "" is nobody.
    """

    def __init__(self, stop_at: int, side: str, lookout: str) -> None:
        self.count = 0
        self._stop_at = stop_at
        self._side = side
        self._process = os.getpid()
        self._lookout = socket.socket(socket.AF_UNIX) if lookout else None
        if self._lookout:
            self._lookout.connect("\0" + lookout)

    def watch_all(self) -> None:
        for owner, name in LOCAL_STEPS:
            self._watch(owner, name)

    def _watch(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if os.getpid() != self._process:
                # The freezer's watcher is a process of its own, and survives.
                return original(*arguments, **options)
            self.count += 1
            number = self.count
            self._at(number, "before", name)
            try:
                return original(*arguments, **options)
            finally:
                # A step that failed is a point as well, and the points behind it are reached past it.
                self._at(number, "after", name)

        setattr(owner, name, counted)

    def _at(self, number: int, side: str, name: str) -> None:
        if self._lookout:
            self._lookout.sendall(f"{number} {side}\n".encode())
            self._lookout.recv(1)
        if number == self._stop_at and side == self._side:
            os.write(2, f"killed {side} local step {number}: {name}\n".encode())
            os.kill(self._process, signal.SIGKILL)
