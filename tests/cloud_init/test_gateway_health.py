from __future__ import annotations

import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_init import gateway_health
from cloud_init.gateway_health import Memory, Observation, Verdict, check, judge

NOW = 1_772_000_000.0
ANSWERS = Observation("active", "success", "one", answers=True)
SILENT = Observation("active", "success", "one", answers=False)
STOPPED = Observation("inactive", "success", "one", answers=False)
STARTING = Observation("activating", "success", "one", answers=False)
THREE = (NOW - 30, NOW - 20, NOW - 10)
GIVEN_UP = Observation("failed", "exit-code", "one", answers=False)
FORCED_STOP = Observation("failed", "timeout", "one", answers=False)


@pytest.mark.parametrize(
    ("memory", "seen", "verdict"),
    [
        pytest.param(Memory(), ANSWERS, Verdict.FINE, id="it answers"),
        pytest.param(Memory("one", 3), SILENT, Verdict.SILENT, id="silent for four checks"),
        pytest.param(Memory("one", 4), SILENT, Verdict.RESTART, id="silent for five checks"),
        pytest.param(Memory("other", 4), SILENT, Verdict.SILENT, id="another invocation counts anew"),
        pytest.param(Memory("one", 4, (NOW - 30, NOW - 20)), SILENT, Verdict.RESTART, id="third restart in the window"),
        pytest.param(Memory("one", 4, THREE), SILENT, Verdict.LIMIT, id="the limit is reported"),
        pytest.param(Memory("one", 5, THREE), SILENT, Verdict.SILENT, id="but not each minute"),
        pytest.param(Memory("one", 64, THREE), SILENT, Verdict.LIMIT, id="and again hourly"),
        pytest.param(Memory("one", 4, (NOW - 21_600, *THREE[1:])), SILENT, Verdict.RESTART, id="old ones do not count"),
        pytest.param(Memory("one", 4), STOPPED, Verdict.IDLE, id="a stopped gateway is left alone"),
        pytest.param(Memory("one", 4), STARTING, Verdict.IDLE, id="a starting gateway is left alone"),
        pytest.param(Memory(failed_since=NOW - 9999), FORCED_STOP, Verdict.IDLE, id="a forced stop was still wanted"),
        pytest.param(Memory(), GIVEN_UP, Verdict.IDLE, id="systemd has just given up"),
        pytest.param(Memory(failed_since=NOW - 3599), GIVEN_UP, Verdict.IDLE, id="given up for less than an hour"),
        pytest.param(Memory(failed_since=NOW - 3600), GIVEN_UP, Verdict.RETRY, id="given up for an hour"),
    ],
)
def test_a_check_leads_to(memory: Memory, seen: Observation, verdict: Verdict) -> None:
    assert judge(memory, seen, NOW)[1] is verdict


def test_a_gateway_that_never_answers_is_restarted_three_times_in_six_hours() -> None:
    memory, restarts = Memory(), 0
    for minute in range(6 * 60):
        seen = Observation("active", "success", f"run {restarts}", answers=False)
        memory, verdict = judge(memory, seen, NOW + 60 * minute)
        restarts += verdict is Verdict.RESTART
    assert restarts == gateway_health.RESTARTS_ALLOWED


def test_one_answer_forgets_the_silence() -> None:
    memory, _ = judge(Memory("one", 4), ANSWERS, NOW)
    assert memory.silent_checks == 0


def test_a_gateway_that_was_given_up_is_tried_once_an_hour() -> None:
    memory, retries = Memory(), 0
    for minute in range(5 * 60):
        memory, verdict = judge(memory, GIVEN_UP, NOW + 60 * minute)
        retries += verdict is Verdict.RETRY
    assert retries == 4


@pytest.fixture
def actions(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    seen: list[Verdict] = []
    monkeypatch.setattr(gateway_health, "act", seen.append)
    return seen


def test_a_restart_is_remembered_and_reported_as_one_json_line(tmp_path: Path, actions: list[Verdict]) -> None:
    for _ in range(5):
        check(tmp_path / "memory.json", tmp_path / "health.log", lambda: SILENT, NOW)
    assert actions == [Verdict.SILENT] * 4 + [Verdict.RESTART]
    (line,) = (tmp_path / "health.log").read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {
        "time": "2026-02-25T06:13:20Z",
        "command": "openclaw-health",
        "result": "restarted",
        "unit_state": "active",
        "restarts_in_6_hours": 1,
    }
    assert gateway_health.load_memory(tmp_path / "memory.json") == Memory("one", 0, (NOW,))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"invocation": 1}', '{"restarts": "x"}'])
def test_a_damaged_memory_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "memory.json").write_text(content, encoding="utf-8")
    assert gateway_health.load_memory(tmp_path / "memory.json") == Memory()


class Gateway(http.server.BaseHTTPRequestHandler):
    status = 200
    body = b""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def gateway() -> Iterator[tuple[str, type[Gateway]]]:
    answers = type("Answers", (Gateway,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/healthz", answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "healthy"),
    [
        pytest.param(200, b'{"ok":true,"status":"live"}', True, id="ok"),
        pytest.param(200, b'{"ok":false}', False, id="not ok"),
        pytest.param(200, b"<html>control UI</html>", False, id="the control UI answers 200 to anything"),
        pytest.param(200, b"[]", False, id="JSON of another shape"),
        pytest.param(503, b'{"ok":true}', False, id="starting"),
    ],
)
def test_only_json_that_says_ok_is_health(
    gateway: tuple[str, type[Gateway]], status: int, body: bytes, healthy: bool
) -> None:
    url, answers = gateway
    answers.status, answers.body = status, body
    assert gateway_health.gateway_answers(url) is healthy


def test_no_gateway_is_no_health() -> None:
    assert gateway_health.gateway_answers("http://127.0.0.1:9/healthz", timeout=1) is False


def drips(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(300):
        connection.sendall(b" ")
        time.sleep(0.05)


def sends_headers_for_ever(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(300):
        connection.sendall(f"X-{number}: y\r\n".encode())
        time.sleep(0.05)


def says_nothing(connection: socket.socket) -> None:
    time.sleep(5)


def answers_with(answer: bytes) -> Callable[[socket.socket], None]:
    return lambda connection: connection.sendall(answer)


OK = b'{"ok":true}'
ELSEWHERE = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 11\r\n\r\n"
HOSTILE = {
    "a redirect to what says ok": answers_with(
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 11\r\n\r\n" + OK
    ),
    "permanently moved": answers_with(b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n" + OK),
    "created, not answered": answers_with(b"HTTP/1.1 201 Created\r\nContent-Length: 11\r\n\r\n" + OK),
    "JSON too deep for the parser": answers_with(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000),
    "objects too deep for the parser": answers_with(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"a":' * 12_000),
    "a number too long to be read": answers_with(b'HTTP/1.1 200 OK\r\n\r\n{"ok":true,"n":' + b"9" * 5_000 + b"}"),
    "ok after more bytes than are read": answers_with(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 70_000 + OK),
    "a length that never comes": answers_with(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + OK),
    "chunks of no size": answers_with(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + OK),
    "no HTTP": answers_with(b"\x00\xff" * 100),
    "no UTF-8": answers_with(b'HTTP/1.1 200 OK\r\n\r\n{"ok":true,"\xff":1}'),
    "a line without an end": answers_with(b"HTTP/1.1 200 " + b"O" * 70_000),
    "an answer that drips": drips,
    "headers that drip": sends_headers_for_ever,
    "silence": says_nothing,
}


@pytest.mark.parametrize("behave", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_gateway_is_not_healthy_and_is_told_so_in_time(behave: Callable[[socket.socket], None]) -> None:
    asked = 0
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            nonlocal asked
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                asked += 1
                with connection:
                    connection.recv(4096)
                    behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        began = time.monotonic()
        assert gateway_health.gateway_answers(f"http://127.0.0.1:{listening.getsockname()[1]}/healthz", 0.3) is False
        assert time.monotonic() - began < 4
    assert asked == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n" + OK + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: keep-alive\r\n\r\n" + OK,
    ],
    ids=["in chunks", "on a connection that stays open"],
)
def test_an_honest_answer_is_health_however_it_is_framed(answer: bytes) -> None:
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(answer)
            ended.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        assert gateway_health.gateway_answers(f"http://127.0.0.1:{listening.getsockname()[1]}/healthz", 10) is True
        ended.set()
