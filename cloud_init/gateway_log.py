"""Write what the gateway prints into its log, as far as disk and bill can bear it (openclaw-gateway-log.service).

The rest is read and dropped, so that the gateway never waits, and the log says how much that was.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

LOG = Path("/var/log/openclaw-gateway/gateway.log")
MIB = 1024 * 1024
HOUR_SECONDS = 3600
DEFAULT_MIB_PER_HOUR = 4
FIRST_PASSED_DESCRIPTOR = 3  # sd_listen_fds(3)
READ_BYTES = 65_536
# After a pause: else each byte that is allowed again would bring a line that says so.
ROOM_TO_GO_ON = 65_536
# A terminal that shows the log obeys no escape of the gateway's.
_PRINTABLE = bytes(byte if byte >= 32 or byte in b"\n\t" else ord("?") for byte in range(256)).replace(b"\x7f", b"?")


class Allowance:
    """How many bytes may be written now: an hour's share at once, and as much again spread over each hour."""

    def __init__(self, bytes_per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = bytes_per_hour
        self._clock = clock
        self._left = float(bytes_per_hour)
        self._looked_at = clock()

    def left(self) -> int:
        """The bytes that are left now."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._looked_at) * self._most / HOUR_SECONDS)
        self._looked_at = now
        return int(self._left)

    def take(self, count: int) -> None:
        """So many bytes have been written."""
        self._left -= count


class BoundedLog:
    """A log that takes what is allowed and counts the rest."""

    def __init__(self, write: Callable[[bytes], object], allowance: Allowance) -> None:
        self._write = write
        self._allowance = allowance
        self._dropped = 0
        self._ends_a_line = True

    def add(self, text: bytes) -> None:
        """Write what is allowed of the next bytes, whole lines as far as there are any."""
        left = self._allowance.left()
        if self._dropped:
            if left < ROOM_TO_GO_ON:
                self._dropped += len(text)
                return
            self._say(f"{self._dropped:,} bytes that the gateway printed are not in this log")
            self._dropped = 0
            left = self._allowance.left()
        kept = text[:left] if len(text) > left else text
        if len(kept) < len(text):
            kept = kept[: kept.rfind(b"\n") + 1] or kept
        self._put(kept.translate(_PRINTABLE))
        self._dropped = len(text) - len(kept)
        if self._dropped:
            self._say("the gateway prints more than gateway_log_mib_per_hour allows; the rest is dropped")

    def _say(self, sentence: str) -> None:
        begin = "" if self._ends_a_line else "\n"
        self._put(f"{begin}[openclaw-gateway-log] {sentence}\n".encode())

    def _put(self, text: bytes) -> None:
        if text:
            self._allowance.take(len(text))
            self._write(text)
            self._ends_a_line = text.endswith(b"\n")


def relay(reading: int, log: BoundedLog) -> None:
    """Write what comes until its end, which a FIFO that systemd holds open does not have."""
    while text := os.read(reading, READ_BYTES):
        log.add(text)


def appending_to(place: Path) -> Callable[[bytes], object]:
    """Append to a log; a full disk costs lines, no more; it is opened anew each time, for it is rotated."""

    def write(text: bytes) -> None:
        try:
            handle = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            try:
                os.write(handle, text)
            finally:
                os.close(handle)
        except OSError as problem:
            print(f"{place} cannot be written ({problem.strerror})", file=sys.stderr)

    return write


def main() -> None:
    """Relay what systemd passes."""
    allowed = int(os.environ.get("OPENCLAW_GATEWAY_LOG_MIB_PER_HOUR", DEFAULT_MIB_PER_HOUR))
    os.set_blocking(FIRST_PASSED_DESCRIPTOR, True)
    relay(FIRST_PASSED_DESCRIPTOR, BoundedLog(appending_to(LOG), Allowance(allowed * MIB)))


if __name__ == "__main__":
    main()
