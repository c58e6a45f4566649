"""How the embedded server speaks HTTP: connections stay open, as they do at AWS, and an answer leaves in one piece.

Werkzeug closes the connection after each answer, which takes a third of a small request on both sides.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Iterable
from typing import Any

from moto.moto_server import threaded_moto_server
from moto.moto_server.werkzeug_app import MotoRequestHandler

# Beyond, joining a body to its head costs more than a second call.
JOINED_BYTES = 65_536
NO_BODY = frozenset({204, 304})


class KeptAlive(MotoRequestHandler):
    """Reads a whole request before it is answered, so that the next one on this connection begins where it should."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request; a client that asks for it finds the connection closed afterwards."""
        self.environ = environ = self.make_environ()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(
            environ["wsgi.input"].read() if environ.get("wsgi.input_terminated") else self.rfile.read(length)
        )
        try:
            status, headers, body = self._answer(environ)
        except Exception:  # noqa: BLE001 - whatever breaks in there is the server's internal error
            self.server.log("error", f"Error on request:\n{traceback.format_exc()}")
            status, headers, body = "500 Internal Server Error", [], b""
        self._send(status, headers, body)

    def _answer(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        told: list[tuple[str, list[tuple[str, str]]]] = []
        pieces: list[bytes] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> Any:
            told[:] = [(status, headers)]
            return pieces.append

        answered: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            pieces.extend(answered)
        finally:
            close = getattr(answered, "close", None)
            if close:
                close()
        return *told[0], b"".join(pieces)

    def _send(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        lines = [f"{self.protocol_version} {status}", f"Date: {self.date_time_string()}"]
        lines += [f"{name}: {value}" for name, value in headers]
        told = any(name.lower() == "content-length" for name, _ in headers)
        if not told and self.command != "HEAD" and int(status[:3]) not in NO_BODY:
            lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        if self.command == "HEAD":
            body = b""
        if len(body) > JOINED_BYTES:
            self.wfile.write(head)
            self.wfile.write(body)
        else:
            self.wfile.write(head + body)


def keep_connections_open() -> None:
    """Let moto's server use it; call once, before it starts."""
    threaded_moto_server.MotoRequestHandler = KeptAlive  # type: ignore[attr-defined]
