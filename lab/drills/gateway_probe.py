"""Watches from the outside whether a machine's gateway answers /readyz, many times a second and at next to no cost."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.host.deadline import scaled
from lab.machine.network import enter_namespace

GATEWAY_PORT = 18789
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_FOR_AN_ANSWER = 2.0


class GatewayProbe:
    """A thread inside a machine's network namespace; reports every change of readiness with its monotonic time."""

    def __init__(self, namespace: Path, report: Callable[[float, bool], None]) -> None:
        self._namespace = namespace
        self._report = report
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch; nothing more is reported."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        enter_namespace(self._namespace)
        ready = False
        while not self._stopping.wait(SECONDS_BETWEEN_LOOKS):
            asked = time.monotonic()
            answer = _is_ready()
            if answer is not ready:
                ready = answer
                self._report(asked, ready)


def ask_readyz() -> dict[str, Any] | None:
    """The gateway's own JSON on its readiness, asked from inside its network namespace; None without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", GATEWAY_PORT, timeout=scaled(SECONDS_FOR_AN_ANSWER))
    try:
        connection.request("GET", "/readyz")
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else None


def _is_ready() -> bool:
    answer = ask_readyz()
    return answer is not None and answer.get("ready") is True
