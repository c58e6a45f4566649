"""Asking the server behind the proxy, over a connection that stays open as long as the client's own."""

import contextlib
import http.client

from lab.faults.answers import Answer

SERVER_TIMEOUT_SECONDS = 60.0


def forward(
    connection: http.client.HTTPConnection, method: str, target: str, headers: list[tuple[str, str]], body: bytes
) -> Answer:
    """Ask the server; the connection stays open for the next request where nothing went wrong on it."""
    sent = answered = False
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body or method in ("PUT", "POST"):
            connection.putheader("Content-Length", str(len(body)))
        # A server may answer, and close, before it has read the body: its answer is what counts.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders(body or None)
            sent = True
        response = connection.getresponse()
        answer = Answer(response.status, response.getheaders(), response.read())
        answered = True
        return answer
    finally:
        if not (sent and answered):
            connection.close()
