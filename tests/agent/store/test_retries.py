"""The one policy for what is tried again: how often, after which pauses, after which errors."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from openclaw_agent.errors import StoreError
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.retries import RetryPolicy, request_policy

PASSING = TimeoutError("passing")
FINAL = ValueError("final")
GROWING = RetryPolicy(4, 0.2, 2.0, lambda problem: isinstance(problem, TimeoutError))


@pytest.mark.parametrize(
    ("policy", "pauses"),
    [
        (RetryPolicy(1, 1.0), []),
        (RetryPolicy(3, 1.0), [1.0, 1.0]),
        (RetryPolicy(4, 0.5, 3.0), [0.5, 1.5, 4.5]),
        (request_policy(6, lambda _problem: True), [0.2, 0.4, 0.8, 1.6, 3.2]),
    ],
    ids=["one try", "even", "growing", "requests"],
)
def test_the_pauses_of_a_policy(policy: RetryPolicy, pauses: list[float]) -> None:
    assert list(policy.pauses()) == pytest.approx(pauses)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["call", "call_async"])
@pytest.mark.parametrize(
    ("answers", "raised", "pauses"),
    [
        (["answer"], None, []),
        ([PASSING, "answer"], None, [0.2]),
        ([PASSING, PASSING, PASSING, "answer"], None, [0.2, 0.4, 0.8]),
        ([PASSING] * 4, TimeoutError, [0.2, 0.4, 0.8]),
        ([FINAL], ValueError, []),
        ([PASSING, FINAL], ValueError, [0.2]),
        ([PASSING, PASSING, PASSING, FINAL], ValueError, [0.2, 0.4, 0.8]),
    ],
    ids=["at once", "second", "last", "never", "final", "final later", "final at last"],
)
def test_what_passes_is_tried_again(
    answers: list[object], raised: type[Exception] | None, pauses: list[float], asynchronous: bool
) -> None:
    left: Iterator[object] = iter(answers)
    slept: list[float] = []

    def attempt() -> object:
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def attempt_async() -> object:
        return attempt()

    async def sleep_async(seconds: float) -> None:
        slept.append(seconds)

    def run() -> object:
        if asynchronous:
            return asyncio.run(GROWING.call_async(attempt_async, sleep_async))
        return GROWING.call(attempt, slept.append)

    if raised is None:
        assert run() == "answer"
    else:
        with pytest.raises(raised):
            run()
    assert slept == pytest.approx(pauses)
    assert next(left, None) is None


class ConflictingServer(ThreadingHTTPServer):
    """Answers so many writes with S3's 409 and the others with an ETag; moto never answers 409."""

    def __init__(self, conflicts: int) -> None:
        super().__init__(("127.0.0.1", 0), _Conflicts)
        self.conflicts = conflicts
        self.writes = 0


class _Conflicts(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ConflictingServer

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.writes += 1
        body = b"<Error><Code>ConditionalRequestConflict</Code><Message>Under way.</Message></Error>"
        if self.server.writes > self.server.conflicts:
            self.send_response(200)
            self.send_header("ETag", '"e"')
            body = b""
        else:
            self.send_response(409)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.mark.parametrize("whole_file", [False, True], ids=["put", "put_file"])
@pytest.mark.parametrize(
    ("conflicts", "writes", "pauses"),
    [(0, 1, []), (2, 3, [0.2, 0.4]), (9, 4, [0.2, 0.4, 0.8])],
    ids=["none", "it passes", "it does not"],
)
def test_a_conflict_of_conditional_writes_is_retried_with_growing_pauses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    conflicts: int,
    writes: int,
    pauses: list[float],
    whole_file: bool,
) -> None:
    slept: list[float] = []
    source = tmp_path / "file"
    source.write_bytes(b"text")
    with ConflictingServer(conflicts) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        bucket = Bucket("bucket", "us-east-1", attempts=4, stall_seconds=5.0, sleep=slept.append)
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        told = pytest.raises(StoreError, match="ConditionalRequestConflict") if conflicts > 3 else nullcontext()
        try:
            with told:
                if whole_file:
                    assert bucket.put_file("key", source, if_match="") == '"e"'
                else:
                    assert bucket.put("key", b"text", if_absent=True) == '"e"'
        finally:
            server.shutdown()
            serving.join()
        assert server.writes == writes
    assert slept == pytest.approx(pauses)
