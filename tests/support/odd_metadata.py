"""A metadata service of which each path has a manner of its own: answer, fail, hang, trickle or talk nonsense."""

import contextlib
import socketserver
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

TOKEN_PATH = "/latest/api/token"
ENOUGH_PATIENCE = 30.0

Manner = Callable[["Exchange"], None]


class Exchange(socketserver.StreamRequestHandler):
    """One request: what was asked, and a file to answer into, byte by byte."""

    server: "_Server"

    def handle(self) -> None:
        self.path = self.rfile.readline().decode(errors="replace").split(" ")[1:2][0]
        while self.rfile.readline().strip():
            pass
        with self.server.odd.lock:
            self.server.odd.asked.append(self.path)
            manner = self.server.odd.manners.get(self.path, says("", 404))
        with contextlib.suppress(OSError):
            manner(self)

    def linger(self, seconds: float = ENOUGH_PATIENCE) -> bool:
        """Wait, and say whether the service still runs."""
        return not self.server.odd.closing.wait(seconds)


def says(body: str | bytes, status: int = 200) -> Manner:
    content = body.encode() if isinstance(body, str) else body

    def manner(exchange: Exchange) -> None:
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        exchange.wfile.write(head.encode() + content)

    return manner


def hangs(exchange: Exchange) -> None:
    exchange.linger()


def hangs_up(_exchange: Exchange) -> None:
    """Close the connection without a word."""


def trickles(exchange: Exchange) -> None:
    """An answer of which each byte comes soon, and the last one never."""
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
    while exchange.linger(0.05):
        exchange.wfile.write(b"x")


def breaks_off(exchange: Exchange) -> None:
    exchange.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{"action": ')


def utters(what: bytes) -> Manner:
    """No HTTP at all, or none of the right kind."""

    def manner(exchange: Exchange) -> None:
        exchange.wfile.write(what)

    return manner


class OddMetadata:
    """The service; what a path does may be changed at any time, and a path that is not named is not found (404)."""

    def __init__(self, manners: Mapping[str, Manner]) -> None:
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self.manners = {TOKEN_PATH: says("token"), **manners}
        self.asked: list[str] = []
        self._server = _Server(("127.0.0.1", 0), Exchange)
        self._server.odd = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def become(self, path: str, manner: Manner) -> None:
        with self.lock:
            self.manners[path] = manner

    def times_asked(self, path: str) -> int:
        with self.lock:
            return self.asked.count(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64
    odd: OddMetadata

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is what is wanted here."""
