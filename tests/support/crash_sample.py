"""One point for each distinct state that a run passes through: the run is watched once, and not killed."""

import contextlib
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab.faults.plan import Operation, Seen
from lab.faults.proxy import Moment

_READS = (Operation.GET, Operation.HEAD, Operation.LIST)


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of the n-th request, as the server takes them, or a side of the n-th local step."""

    number: int
    when: Moment | str

    def __str__(self) -> str:
        if isinstance(self.when, Moment):
            return f"killed at request {self.number}, {self.when.value}"
        return f"killed {self.when} local step {self.number}"


@dataclass(slots=True)
class Turnstile:
    """Observes a proxy: the server does one request at a time, and none once `goes_on` has said no.

    So the n-th request means the same amount of work done, however many are sent at the same time.
    """

    goes_on: Callable[[Moment, int, Seen], bool]
    _numbers: dict[int, int] = field(default_factory=dict)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _closed: bool = False

    def __call__(self, moment: Moment, seen: Seen) -> bool:
        if moment is Moment.ARRIVED:
            self._turn.acquire()
            if not self._closed:
                self._numbers[seen.number] = len(self._numbers) + 1
        self._closed = self._closed or not self.goes_on(moment, self._numbers[seen.number], seen)
        if moment is Moment.ANSWERED or (moment is Moment.ARRIVED and self._closed):
            self._turn.release()
        return not self._closed


@dataclass(slots=True)
class Rehearsal:
    """Looks at every state that a run passes through, and notes them in their order.

    `look_at_bucket` is asked again only after a request that may have written.
    """

    look_at_bucket: Callable[[], dict[str, str]]
    look_at_machine: Callable[[], object]
    seen: list[tuple[Point, dict[str, str], object]] = field(default_factory=list)
    _bucket: dict[str, str] | None = None
    _one: threading.Lock = field(default_factory=threading.Lock)

    def at_request(self, moment: Moment, number: int, seen: Seen) -> bool:
        if moment is Moment.ANSWERED and seen.operation not in _READS:
            self._bucket = None
        if moment is not Moment.PASSED_ON:
            self._note(Point(number, moment))
        return True

    def at_local_step(self, number: int, side: str) -> None:
        self._note(Point(number, side))

    def _note(self, point: Point) -> None:
        with self._one:
            if self._bucket is None:
                self._bucket = self.look_at_bucket()
            self.seen.append((point, self._bucket, self.look_at_machine()))


@contextlib.contextmanager
def looking_at_each_step(look: Callable[[int, str], None]) -> Iterator[str]:
    """Call `look` on both sides of each local step of a run that is given the yielded address."""
    # An abstract name, which no folder's length limits.
    address = f"openclaw-lookout-{uuid.uuid4().hex}"

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection, connection.makefile() as steps:
                for step in steps:
                    number, side = step.split()
                    look(int(number), side)
                    connection.sendall(b".")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + address)
        listener.listen()
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield address
        finally:
            # Wakes an accept that nobody came to.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            server.join()
