"""The gateway's unit: stopped and started to the end, and asked whether it is ready."""

import http.client
import json
import subprocess
import time
import urllib.error
import urllib.request

from openclaw_agent.errors import AgentError
from openclaw_agent.host.units import GATEWAY_UNIT, is_active, start_command, stop_command

READY_URL = "http://127.0.0.1:18789/readyz"
READY_WITHIN_SECONDS = 300
ANSWER_SECONDS = 5
LOOK_EVERY_SECONDS = 0.5


def stop_gateway() -> bool:
    """Stop the gateway and wait for its end; return whether it ran.

    Raises:
        AgentError: when systemd did not stop it.
    """
    ran = is_active(GATEWAY_UNIT)
    _systemctl(stop_command(GATEWAY_UNIT), "stop")
    return ran


def start_gateway() -> None:
    """Start the gateway, and return once systemd has.

    Raises:
        AgentError: when it does not start.
    """
    _systemctl(start_command(GATEWAY_UNIT), "start")


def wait_until_ready(seconds: float = READY_WITHIN_SECONDS) -> float:
    """Wait until the gateway says that it is ready, and return after how many seconds.

    Raises:
        AgentError: when it does not say so in time.
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if is_ready():
            return round(time.monotonic() - began, 1)
        time.sleep(LOOK_EVERY_SECONDS)
    raise AgentError(
        f"The gateway was started and is not ready after {seconds:.0f} s. "
        f"Next: journalctl -u {GATEWAY_UNIT} -b, and tail /var/log/openclaw-gateway/gateway.log"
    )


def is_ready() -> bool:
    """Whether the gateway answers that it is ready."""
    try:
        with urllib.request.urlopen(READY_URL, timeout=ANSWER_SECONDS) as answer:
            document = json.loads(answer.read(64 * 1024))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return isinstance(document, dict) and document.get("ready") is True


def _systemctl(command: object, verb: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # type: ignore[call-overload]  # noqa: S603
    if done.returncode:
        why = " ".join(done.stderr.split()) or f"systemctl ended with {done.returncode}"
        raise AgentError(f"{GATEWAY_UNIT} did not {verb}: {why}. Next: systemctl status {GATEWAY_UNIT}")
