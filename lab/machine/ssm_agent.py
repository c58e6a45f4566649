"""The stand-in for the SSM agents of this host's machines: takes what Run Command has sent, and runs it there."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from lab.host.commands import Outcome
from lab.moto.run_command import WORK_PATH

ASK_EVERY_SECONDS = 0.2
ANSWER_SECONDS = 30

RunScript = Callable[[str, str], Outcome]
"""Runs a script of shell as root on the instance of that id."""


class SsmAgents:
    """As long as the block lasts, what is sent to one of the instances runs on it; several at once.

    `instances` says which there are now; what `run_script` raises ends the command with 255 and its text.
    """

    def __init__(self, endpoint_url: str, instances: Callable[[], Iterable[str]], run_script: RunScript) -> None:
        self._url = endpoint_url + WORK_PATH
        self._instances = instances
        self._run_script = run_script
        self._ended: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="ssm-agents", daemon=True)

    def __enter__(self) -> Self:
        # Managed from here on, and not only after the thread's first question.
        self._exchange()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()

    def _ask(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            while not self._leaving.wait(ASK_EVERY_SECONDS):
                try:
                    for work in self._exchange():
                        pool.submit(self._carry_out, work)
                except OSError:
                    # The embedded AWS has ended, or begins.
                    continue

    def _exchange(self) -> list[dict[str, Any]]:
        with self._lock:
            ended, self._ended = self._ended, []
        body = json.dumps({"instances": sorted(self._instances()), "ended": ended}).encode()
        # Else it counts as a form, and the server finds no body.
        request = urllib.request.Request(  # noqa: S310 - our own endpoint
            self._url, body, {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.loads(answer.read())
            return found

    def _carry_out(self, work: dict[str, Any]) -> None:
        try:
            outcome = self._run_script(work["instance"], work["script"])
        except Exception as problem:  # noqa: BLE001 - told as the command's own end
            outcome = Outcome(255, "", str(problem))
        ended = {
            "command": work["command"],
            "instance": work["instance"],
            "code": outcome.exit_code,
            "out": outcome.stdout,
            "err": outcome.stderr,
        }
        with self._lock:
            self._ended.append(ended)
