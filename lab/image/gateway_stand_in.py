#!/usr/bin/python3.11
"""Stands in for the OpenClaw gateway where npm cannot be reached: health pages, and SQLite in WAL mode.

It writes to its databases all the time, so that a backup never finds them at rest.
Called like the real one, `openclaw gateway --bind loopback --port 18789`; other commands are refused with exit code 2.
It stands on the standard library alone, as it runs inside the instance.
"""

import argparse
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SECONDS_BETWEEN_WRITES = 0.05
MOST_ROWS_KEPT = 20_000
EXIT_BAD_CONFIGURATION = 78


def main() -> int:
    """Serves and writes until SIGTERM; exit 78 where the state folder cannot be used, as the real gateway does."""
    parser = argparse.ArgumentParser(prog="openclaw", description="The lab's stand-in for the OpenClaw gateway.")
    commands = parser.add_subparsers(dest="command", required=True)
    gateway = commands.add_parser("gateway")
    gateway.add_argument("--bind", default="loopback", choices=["loopback", "lan"])
    gateway.add_argument("--port", type=int, default=18789)
    gateway.add_argument("--allow-unconfigured", action="store_true")
    chosen = parser.parse_args()
    state = Path(os.environ.get("HOME", "/home/node"), ".openclaw")
    try:
        writer = Writer(state)
    except (OSError, sqlite3.Error) as error:
        print(f"The state folder {state} cannot be used: {error}", file=sys.stderr)
        return EXIT_BAD_CONFIGURATION
    server = ThreadingHTTPServer(("0.0.0.0" if chosen.bind == "lan" else "127.0.0.1", chosen.port), HealthPages)  # noqa: S104
    signal.signal(signal.SIGTERM, lambda number, frame: threading.Thread(target=server.shutdown).start())
    writer.start()
    print(f"stand-in gateway is listening on port {chosen.port}; its state is {state}", flush=True)
    server.serve_forever()
    writer.finish()
    return 0


class Writer(threading.Thread):
    """Appends numbered rows to two databases in WAL mode, the first always one step ahead of the second."""

    def __init__(self, state: Path) -> None:
        super().__init__(daemon=True)
        self._databases = (state / "state/openclaw.sqlite", state / "agents/main/agent/openclaw-agent.sqlite")
        self._told_to_stop = threading.Event()
        for database in self._databases:
            database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(database)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, at REAL NOT NULL)")
            connection.close()
        (state / "workspace").mkdir(exist_ok=True)

    def run(self) -> None:
        """Writes until told to stop."""
        connections = [sqlite3.connect(database, isolation_level=None) for database in self._databases]
        number = max(
            connection.execute("SELECT coalesce(max(number), 0) FROM events").fetchone()[0]
            for connection in connections
        )
        while not self._told_to_stop.wait(SECONDS_BETWEEN_WRITES):
            number += 1
            for connection in connections:
                connection.execute("INSERT OR REPLACE INTO events VALUES (?, ?)", (number, time.time()))
                connection.execute("DELETE FROM events WHERE number <= ?", (number - MOST_ROWS_KEPT,))
        for connection in connections:
            connection.close()

    def finish(self) -> None:
        """Lets the present row be completed and closes the databases."""
        self._told_to_stop.set()
        self.join(timeout=10)


class HealthPages(BaseHTTPRequestHandler):
    """Answers as the real gateway's health pages do; any other path is its control UI."""

    def do_GET(self) -> None:
        """Answers one request."""
        pages: dict[str, object] = {
            "/healthz": {"ok": True, "status": "live"},
            "/readyz": {"ready": True, "failing": [], "standIn": True},
            "/startupz": {"started": True},
        }
        page = pages.get(self.path.split("?", 1)[0])
        body = (json.dumps(page) if page is not None else "<!doctype html><title>stand-in</title>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if page is not None else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Stays silent."""


if __name__ == "__main__":
    sys.exit(main())
