"""What the instance metadata service says of this machine (IMDSv2 only)."""

import http.client
import io
import os
import re
import socket
import time
from typing import Any
from urllib.parse import urlsplit

from openclaw_agent.errors import AgentError

DEFAULT_ENDPOINT = "http://169.254.169.254"
TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path, not a secret
INSTANCE_ID_PATH = "/latest/meta-data/instance-id"
INTERRUPTION_PATH = "/latest/meta-data/spot/instance-action"
REBALANCE_PATH = "/latest/meta-data/events/recommendations/rebalance"
LIFECYCLE_PATH = "/latest/meta-data/autoscaling/target-lifecycle-state"
TOKEN_TTL_SECONDS = 21600
MOST_BYTES = 64 * 1024
"""Of an answer; the longest that is asked for has some hundred."""

_TOKEN = re.compile(r"[!-~]{1,1024}")


class MetadataUnavailable(AgentError):
    """The metadata service did not answer, or answered something else than 200 or 404."""


class InstanceMetadata:
    """A client of IMDSv2 with one token; a request takes `timeout` seconds at most, whatever the service does."""

    def __init__(self, endpoint: str | None = None, *, timeout: float = 2.0) -> None:
        """Take the endpoint as given, else AWS_EC2_METADATA_SERVICE_ENDPOINT, else the link-local address."""
        chosen = endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT
        self._address = urlsplit(chosen)
        self._timeout = timeout
        self._token = ""
        self._token_is_old_at = 0.0

    def get(self, path: str) -> str | None:
        """The text at `path`, or None for 404, which is normal for events that have not happened.

        Raises:
            MetadataUnavailable: when there is no service, or it answers with any other status.
        """
        if not self._token:
            self._renew_token()
        status, body = self._request("GET", path, {"X-aws-ec2-metadata-token": self._token})
        if status == http.HTTPStatus.UNAUTHORIZED:
            self._renew_token()
            status, body = self._request("GET", path, {"X-aws-ec2-metadata-token": self._token})
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status != http.HTTPStatus.OK:
            raise MetadataUnavailable(f"The metadata service answered {status} for {path}.")
        return body

    def keep_fresh(self) -> None:
        """Renew a token in the second half of its life; the old one stays in use where no new one is had.

        Raises:
            MetadataUnavailable: when no new token was had; the next call tries again.
        """
        if self._token and time.monotonic() > self._token_is_old_at:
            self._renew_token()

    def _renew_token(self) -> None:
        status, body = self._request(
            "PUT", TOKEN_PATH, {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_SECONDS)}
        )
        if status != http.HTTPStatus.OK:
            raise MetadataUnavailable(f"The metadata service gave no token (status {status}).")
        if not _TOKEN.fullmatch(body):
            raise MetadataUnavailable(f"The metadata service gave no token but {body[:40]!r}.")
        self._token, self._token_is_old_at = body, time.monotonic() + TOKEN_TTL_SECONDS / 2

    def _request(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        ends = time.monotonic() + self._timeout
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port or 80, timeout=self._timeout
        )
        # The connection's own timeout is for each read, and a service that trickles would be waited for without end.
        connection.response_class = _response_class(ends)
        try:
            connection.request(method, self._address.path.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read(MOST_BYTES).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException, ValueError) as problem:
            raise MetadataUnavailable(f"The metadata service does not answer for {path} ({problem}).") from problem
        finally:
            connection.close()


def _response_class(ends: float) -> Any:
    def response(sock: socket.socket, **options: Any) -> http.client.HTTPResponse:
        return http.client.HTTPResponse(_WithDeadline(sock, ends), **options)  # type: ignore[arg-type]

    return response


class _WithDeadline(io.RawIOBase):
    """What a response reads from: a socket whose reads all end at one moment."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._socket, self._ends = sock, ends
        self._raw = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
