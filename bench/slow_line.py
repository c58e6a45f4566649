"""A line on loopback that answers no request before its time: a relay in a process of its own, which reads nothing.

`tc netem` would slow down whatever else runs on this machine.
"""

import asyncio
import contextlib
import multiprocessing
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import cast
from urllib.parse import urlsplit

START_SECONDS = 20.0


METHODS = (b"GET ", b"HEAD ", b"PUT ", b"POST ", b"DELETE ")


@dataclass(slots=True)
class Traffic:
    """What passed over the line: requests by the bill's kinds, bytes, and how many were under way at once."""

    requests: Counter[str] = field(default_factory=Counter)
    bytes_up: int = 0
    bytes_down: int = 0
    at_once: int = 0


def kind_of(head: bytes) -> str:
    """The kind of the request that begins with these bytes: GET, HEAD, PUT, COPY, LIST or DELETE."""
    method, _, rest = head.partition(b" ")
    target = rest.split(b" ", 1)[0]
    if method == b"PUT" and b"x-amz-copy-source:" in head.lower():
        return "COPY"
    if method == b"POST":
        # Beginnings and ends of uploads in parts are billed as PUT; DeleteObjects is free.
        return "DELETE" if target.endswith((b"?delete", b"?delete=")) else "PUT"
    if method == b"GET" and any(word in target for word in (b"list-type=", b"prefix=", b"uploads", b"versions")):
        return "LIST"
    return method.decode()


class _Counts:
    """What passes, and how many requests are under way now."""

    def __init__(self) -> None:
        self.now = 0
        self.traffic = Traffic()

    def begin(self, head: bytes) -> None:
        self.now += 1
        self.traffic.requests[kind_of(head)] += 1
        self.traffic.at_once = max(self.traffic.at_once, self.now)

    def take(self) -> Traffic:
        taken, self.traffic = self.traffic, Traffic()
        return taken


class _Near(asyncio.Protocol):
    """The client's side of one connection."""

    def __init__(self, target: tuple[str, int], seconds: float, counts: _Counts) -> None:
        self._target, self._seconds, self.counts = target, seconds, counts
        self._waiting: list[bytes] = []
        self._held: list[bytes] = []
        self.client: asyncio.Transport | None = None
        self.server: asyncio.Transport | None = None
        self.may_answer_at = 0.0
        self.under_way = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client = cast("asyncio.Transport", transport)
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _far = await loop.create_connection(lambda: _Far(self), *self._target)
        except OSError:
            if self.client:
                self.client.abort()
            return
        self.server = transport
        for piece in self._waiting:
            self.server.write(piece)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        self.counts.traffic.bytes_up += len(data)
        # What follows a "100 Continue" is the same request's body.
        if not self.under_way and data.startswith(METHODS):
            self.under_way = True
            self.counts.begin(data)
        self.may_answer_at = asyncio.get_running_loop().time() + self._seconds
        if self.server:
            self.server.write(data)
        else:
            self._waiting.append(data)

    def connection_lost(self, _problem: Exception | None) -> None:
        if self.server:
            self.server.close()

    def hold(self, piece: bytes) -> None:
        """Keep a piece of the answer (b"" for its end) until it is due; timers of one instant come in any order."""
        if not self._held:
            asyncio.get_running_loop().call_at(self.may_answer_at, self._pass_on)
        self._held.append(piece)

    def _pass_on(self) -> None:
        if self.under_way:
            self.under_way = False
            self.counts.now -= 1
        held, self._held = self._held, []
        self.counts.traffic.bytes_down += sum(map(len, held))
        if self.client and not self.client.is_closing():
            self.client.write(b"".join(held))
            if not held[-1]:
                self.client.close()


class _Far(asyncio.Protocol):
    """The server's side."""

    def __init__(self, near: _Near) -> None:
        self._near = near

    def data_received(self, data: bytes) -> None:
        self._near.hold(data)

    def connection_lost(self, _problem: Exception | None) -> None:
        self._near.hold(b"")


def _serve(target: tuple[str, int], seconds: float, pipe: Connection) -> None:
    counts = _Counts()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Near(target, seconds, counts), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        ended = asyncio.Event()

        def tell() -> None:
            try:
                pipe.recv()
            except EOFError:
                loop.remove_reader(pipe.fileno())
                ended.set()
                return
            pipe.send(counts.take())

        loop.add_reader(pipe.fileno(), tell)
        await ended.wait()

    asyncio.run(run())


class SlowLine:
    """The line; `url` stands for the server at its far end."""

    def __init__(self, port: int, pipe: Connection) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._pipe = pipe

    def traffic(self) -> Traffic:
        """What has passed since it was last asked."""
        self._pipe.send("traffic")
        answer: Traffic = self._pipe.recv()
        return answer


@contextlib.contextmanager
def slow_line(target: str, seconds: float) -> Iterator[SlowLine]:
    """A line to the server at the URL `target`, over which every answer takes at least so many seconds."""
    address = urlsplit(target)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    place = (address.hostname or "127.0.0.1", address.port or 80)
    child = context.Process(target=_serve, args=(place, seconds, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        if not ours.poll(START_SECONDS):
            raise TimeoutError(f"The slow line does not listen after {START_SECONDS:g} s.")
        yield SlowLine(ours.recv(), ours)
    finally:
        ours.close()
        child.join(5)
        if child.is_alive():
            child.terminate()
