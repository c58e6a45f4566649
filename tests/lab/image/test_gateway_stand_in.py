import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host.deadline import scaled
from lab.image.layers import STAND_IN_PROGRAM

pytestmark = pytest.mark.subprocess


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def gateway(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, str(STAND_IN_PROGRAM), "gateway", "--bind", "loopback", "--port", str(port)],
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert "is listening" in started.stdout.readline()
    yield started
    started.kill()
    started.wait()
    started.stdout.close()


def numbers(database: Path) -> list[int]:
    with sqlite3.connect(database) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM events ORDER BY number")]


def test_it_answers_ready_and_writes_two_databases_in_wal_mode(
    gateway: subprocess.Popen[str], tmp_path: Path, port: int
) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=scaled(5)) as response:
        assert json.loads(response.read())["ready"] is True
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/anything", timeout=scaled(5)) as response:
        assert response.read().startswith(b"<!doctype html>")
    first = tmp_path / ".openclaw/state/openclaw.sqlite"
    second = tmp_path / ".openclaw/agents/main/agent/openclaw-agent.sqlite"
    deadline = time.monotonic() + 10
    while len(numbers(second)) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert first.with_name("openclaw.sqlite-wal").exists()
    assert len(numbers(second)) >= 3
    assert set(numbers(second)) <= set(numbers(first))


def test_it_ends_well_on_sigterm_and_leaves_databases_that_open(gateway: subprocess.Popen[str], tmp_path: Path) -> None:
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(timeout=scaled(10)) == 0
    with sqlite3.connect(tmp_path / ".openclaw/state/openclaw.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_state_that_cannot_be_used_is_exit_78_as_with_the_real_one(tmp_path: Path) -> None:
    (tmp_path / ".openclaw").write_text("a file, not a folder")
    ended = subprocess.run(
        [sys.executable, str(STAND_IN_PROGRAM), "gateway", "--port", str(free_port())],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=scaled(20),
        check=False,
    )
    assert ended.returncode == 78
    assert "cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr
