"""Somebody outside AWS hears of each backup, and the backup itself never hangs on it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.simulated_instance import SimulatedInstance


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str]]]:
    """The URL of a listener, and the paths that it was asked for."""
    paths: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/ping/key", paths
        server.shutdown()


def configure(machine: SimulatedInstance, url: str) -> None:
    (machine.disk / "instance.json").write_text(
        json.dumps({"backup_bucket": machine.world.bucket, "heartbeat_url": url})
    )
    machine.environment["OPENCLAW_FREEZER"] = "none"


def test_a_good_backup_beats_and_a_bad_one_says_so(machine: SimulatedInstance, heard: tuple[str, list[str]]) -> None:
    url, paths = heard
    for number in range(20):
        machine.write(f"workspace/{number}.md")
    configure(machine, url)
    assert machine.backup().code == 0
    assert machine.backup().code == 0
    for number in range(20):
        (machine.state / f"workspace/{number}.md").unlink()
    machine.write("workspace/other.md")

    assert machine.backup().code == 3
    assert paths == ["/ping/key", "/ping/key", "/ping/key/fail"]


def test_a_thaw_is_no_backup(machine: SimulatedInstance, heard: tuple[str, list[str]]) -> None:
    url, paths = heard
    configure(machine, url)
    machine.backup("--thaw")
    assert paths == []


def test_nobody_who_listens_costs_a_warning_without_the_url(machine: SimulatedInstance) -> None:
    machine.write("workspace/notes.md")
    configure(machine, "http://127.0.0.1:1/ping/key")

    run = machine.backup()

    assert run.code == 0
    assert "The heartbeat could not be sent (URLError); the backup itself is not affected." in run.err
    assert "ping/key" not in run.err
