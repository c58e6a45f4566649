"""The instance metadata service (IMDSv2) of one embedded instance, as a threaded HTTP server."""

import secrets
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from lab.machine.imds_answers import InstanceEvents, InstanceIdentity, Interruption, SpotAction, answer

IMDS_ADDRESS = "169.254.169.254"
IMDS_PORT = 80
TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path, not a secret
TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - a header's name
TOKEN_LIFETIME_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"  # noqa: S105 - a header's name
LONGEST_TOKEN_SECONDS = 21_600
SECONDS_A_CLIENT_MAY_STALL = 10


def listen_on_loopback() -> socket.socket:
    """Returns a listening socket on a free port of 127.0.0.1."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


class ImdsServer:
    """Serves one instance's metadata on a listening socket, which decides who can ask.

    The machine's own socket lives inside its network namespace at 169.254.169.254:80, so no source address has to be
    checked and the host's own metadata service, if it has one, is not hidden. Safe to use from several threads.
    """

    def __init__(
        self,
        identity: InstanceIdentity,
        listener: socket.socket,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._identity = identity
        self._events = InstanceEvents()
        self._clock = clock
        self._tokens: dict[str, datetime] = {}
        self._lock = threading.Lock()
        self._server = _Server(listener, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def endpoint_url(self) -> str:
        """The address to give to AWS_EC2_METADATA_SERVICE_ENDPOINT where it is not the usual one."""
        host, port = self._server.socket.getsockname()[:2]
        return f"http://{host}:{port}/"

    def interrupt(self, at: datetime, action: SpotAction = SpotAction.TERMINATE) -> None:
        """Announces a spot interruption; `spot/instance-action` says so from now on."""
        with self._lock:
            self._events = replace(self._events, interruption=Interruption(at, action))

    def recommend_rebalance(self, at: datetime) -> None:
        """Announces that the instance is at elevated risk of interruption, which may well never follow."""
        with self._lock:
            self._events = replace(self._events, rebalance_recommended_at=at)

    def set_target_lifecycle_state(self, state: str | None) -> None:
        """Says which state the Auto Scaling group moves the instance to; None answers 404 (not in a group)."""
        with self._lock:
            self._events = replace(self._events, target_lifecycle_state=state)

    def revoke_role(self) -> None:
        """Takes the instance's role away: no credentials from now on."""
        with self._lock:
            self._events = replace(self._events, role_revoked=True)

    def withdraw_announcements(self) -> None:
        """Forgets every announcement, as on a newly launched instance."""
        with self._lock:
            self._events = InstanceEvents()

    def issue_token(self, lifetime_seconds: int) -> str:
        """Returns a new session token that is good for this many seconds."""
        token = secrets.token_urlsafe(40)
        with self._lock:
            self._tokens[token] = self._clock() + timedelta(seconds=lifetime_seconds)
        return token

    def accepts(self, token: str | None) -> bool:
        """Says whether a request with this token may be answered; none at all is refused, as IMDSv2 requires."""
        with self._lock:
            return token is not None and self._tokens.get(token, datetime.min.replace(tzinfo=UTC)) > self._clock()

    def body_at(self, path: str) -> str | None:
        """Returns what the path under `/latest/` holds now, or None for 404."""
        with self._lock:
            return answer(path, self._identity, self._events, self._clock())

    def close(self) -> None:
        """Stops answering and frees the socket; closing twice is harmless."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, listener: socket.socket, imds: ImdsServer) -> None:
        super().__init__(listener.getsockname()[:2], _Exchange, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.imds = imds

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client whose deadline has passed is gone before its answer: no fault of this server's."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Exchange(BaseHTTPRequestHandler):
    """One connection of a client that asks the metadata service."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    timeout = SECONDS_A_CLIENT_MAY_STALL

    def do_PUT(self) -> None:
        lifetime = self.headers.get(TOKEN_LIFETIME_HEADER, "")
        if self.path != TOKEN_PATH:
            self._reply(404, "")
        elif "X-Forwarded-For" in self.headers:
            self._reply(403, "")
        elif not lifetime.isdecimal() or not 1 <= int(lifetime) <= LONGEST_TOKEN_SECONDS:
            self._reply(400, "")
        else:
            self._reply(200, self.server.imds.issue_token(int(lifetime)), {TOKEN_LIFETIME_HEADER: lifetime})

    def do_GET(self) -> None:
        if not self.server.imds.accepts(self.headers.get(TOKEN_HEADER)):
            self._reply(401, "")
            return
        path = self.path.split("?", 1)[0]
        body = self.server.imds.body_at(path.removeprefix("/latest/")) if path.startswith("/latest/") else None
        if body is None:
            self._reply(404, "")
        else:
            self._reply(200, body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Stays silent: the agent asks every five seconds."""

    def _reply(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
