"""A threaded HTTP reverse proxy on loopback that breaks requests as a plan says, and keeps a log of every one.

The server behind it speaks path-style S3 (the embedded AWS). Whole bodies are held in memory.
"""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from lab.faults.answers import ERRORS, Answer, error_answer, refusal
from lab.faults.checksums import flipped, refused_checksum
from lab.faults.plan import Fault, Plan, Rule, Seen, seen_from
from lab.faults.upstream import SERVER_TIMEOUT_SECONDS, forward

DROPS = 100
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "expect", "proxy-connection", "te"})


class Moment(Enum):
    """Where a request stands when the observer is asked about it."""

    ARRIVED = "before the server sees it"
    ANSWERED = "after the server has done it, before the answer is passed on"
    PASSED_ON = "after the answer was passed on"


# Told of every request at every moment; False drops the connection there.
Observer = Callable[[Moment, Seen], bool]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One line of the log: the request, the status of the answer (None where none was sent), and its fault."""

    seen: Seen
    status: int | None
    fault: Fault | None


class FaultProxy:
    """The proxy; it listens from the constructor to `stop()`.

    Args:
        target: the URL of the server behind it, such as `EmbeddedAws.endpoint_url`.
    """

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self._target = (address.hostname or "127.0.0.1", address.port or 80)
        self._lock = threading.Lock()
        self._log: list[Exchange] = []
        self._number = 0
        self._under_way = 0
        self._plan = Plan()
        self._observer: Observer | None = None
        self.stopping = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def endpoint_url(self) -> str:
        """The URL for `AWS_ENDPOINT_URL`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def log(self) -> list[Exchange]:
        """Every request since the last `begin`, in the order in which they ended."""
        with self._lock:
            return list(self._log)

    def counts(self) -> Counter[str]:
        """Requests since the last `begin` by operation."""
        return Counter(row.seen.operation.value for row in self.log)

    def begin(self, *rules: Rule, observer: Observer | None = None) -> None:
        """Start anew: these rules, this observer, an empty log, and numbers from 1 again."""
        with self._lock:
            self._log.clear()
            self._number = 0
            self._plan = Plan(rules)
            self._observer = observer

    def wait_until_idle(self, seconds: float = 10.0) -> bool:
        """Wait until no request is under way (a dead client's may still be); False when the time was too short."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._lock:
                if self._under_way == 0:
                    return True
            time.sleep(0.002)
        return False

    def stop(self) -> None:
        """End the proxy and every stall."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def observe(self, moment: Moment, seen: Seen) -> bool:
        """Ask the observer whether the exchange goes on."""
        return self._observer is None or self._observer(moment, seen)

    @contextlib.contextmanager
    def exchange(
        self, method: str, target: str, *, copies: bool, length: int, authorization: str
    ) -> Iterator[tuple[Seen, Rule | None]]:
        """Number a request and look its fate up; it counts as under way for the length of the block."""
        with self._lock:
            self._number += 1
            self._under_way += 1
            seen = seen_from(self._number, method, target, copies=copies, length=length, authorization=authorization)
            plan = self._plan
        try:
            yield seen, plan.verdict(seen)
        finally:
            with self._lock:
                self._under_way -= 1

    def note(self, seen: Seen, status: int | None, fault: Fault | None) -> None:
        """Add a line to the log."""
        with self._lock:
            self._log.append(Exchange(seen, status, fault))

    def connection(self) -> http.client.HTTPConnection:
        """A connection to the server, which opens with its first request."""
        return http.client.HTTPConnection(*self._target, timeout=SERVER_TIMEOUT_SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        self.to_reset: set[int] = set()
        super().__init__(("127.0.0.1", 0), _Relay)

    def shutdown_request(self, request: Any) -> None:
        # Without the orderly end that socketserver sends first, closing with a zero linger is a reset.
        if request.fileno() in self.to_reset:
            self.to_reset.discard(request.fileno())
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_request(request)
            return
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed leaves a broken connection: expected here."""


class _Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._upstream = self.server.proxy.connection()

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def log_message(self, *_arguments: Any) -> None:
        """Keep quiet: the proxy has its own log."""

    def _relay(self) -> None:
        body = self._read_body()
        proxy = self.server.proxy
        copies = "x-amz-copy-source" in self.headers
        authorization = self.headers.get("Authorization", "")
        with proxy.exchange(self.command, self.path, copies=copies, length=len(body), authorization=authorization) as (
            seen,
            rule,
        ):
            fault = rule.fault if rule else None
            status = None
            try:
                status = self._serve(seen, rule, body)
            finally:
                if status is None:
                    proxy.note(seen, None, fault)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _relay

    def _serve(self, seen: Seen, rule: Rule | None, body: bytes) -> int | None:
        proxy = self.server.proxy
        fault = rule.fault if rule else None
        if not proxy.observe(Moment.ARRIVED, seen):
            return self._drop()
        if fault is Fault.RESET_BEFORE:
            return self._reset()
        if rule is not None and fault is Fault.STALL:
            return self._stall(rule.seconds)
        if fault in ERRORS:
            return self._pass_on(seen, rule, error_answer(fault))
        if fault is Fault.CORRUPTED_REQUEST:
            body = flipped(body)
            refused = refused_checksum(dict(self.headers.items()), body)
            if refused is not None:
                return self._pass_on(seen, rule, refusal(400, *refused))
        kept = [(name, value) for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP]
        kept = [(name, value) for name, value in kept if name.lower() != "content-length"]
        answer = forward(self._upstream, self.command, self.path, kept, body)
        if not proxy.observe(Moment.ANSWERED, seen):
            return self._drop()
        if fault is Fault.RESET_AFTER:
            return self._reset()
        if rule is not None and fault is Fault.STALL_AFTER:
            return self._stall(rule.seconds)
        if fault is Fault.CORRUPTED_ANSWER:
            answer = Answer(answer.status, answer.headers, flipped(answer.body))
        status = self._pass_on(seen, rule, answer)
        proxy.observe(Moment.PASSED_ON, seen)
        return status

    def _pass_on(self, seen: Seen, rule: Rule | None, answer: Answer) -> int:
        fault = rule.fault if rule else None
        # Before a byte of it leaves: whoever has the answer finds the request in the log.
        self.server.proxy.note(seen, answer.status, fault)
        self.send_response_only(answer.status)
        length = str(len(answer.body))
        for name, value in answer.headers:
            if name.lower() == "content-length":
                # The answer to HEAD tells a length without a body.
                length = value if self.command == "HEAD" else length
            elif name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if answer.status not in (204, 304):
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command == "HEAD":
            return answer.status
        half = answer.body[: len(answer.body) // 2]
        if fault is Fault.TRUNCATED_ANSWER:
            self.wfile.write(half)
            self._drop()
        elif fault is Fault.RESET_MID_BODY:
            self.wfile.write(half)
            self._reset()
        elif rule is not None and fault is Fault.SLOW_ANSWER:
            self._write_in_drops(answer.body, rule.seconds)
        elif rule is not None and fault is Fault.STALL_MID_BODY:
            self.wfile.write(half)
            self._stall(rule.seconds)
        else:
            self.wfile.write(answer.body)
        return answer.status

    def _write_in_drops(self, body: bytes, seconds: float) -> None:
        size = -(-len(body) // DROPS) or 1
        for begin in range(0, len(body), size):
            self.server.proxy.stopping.wait(seconds / DROPS)
            self.wfile.write(body[begin : begin + size])

    def _stall(self, seconds: float) -> int | None:
        self.server.proxy.stopping.wait(seconds)
        return self._reset()

    def _reset(self) -> int | None:
        self.server.to_reset.add(self.connection.fileno())
        return self._drop()

    def _drop(self) -> int | None:
        self.close_connection = True
        return None  # no status was passed on

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)
