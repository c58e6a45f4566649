"""The embedded AWS server: moto on a socket of this machine, in a process of its own that ends with its parent."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
CREDENTIAL = "testing"
ACCOUNT_ID = "123456789012"
DEFAULT_REGION = "us-east-1"
START_TIMEOUT_SECONDS = 30.0
STOP_TIMEOUT_SECONDS = 5.0
# For a listing of thousands of versions on a busy machine.
READ_TIMEOUT_SECONDS = 300
COLLECT_AFTER = (20_000, 20, 50)


class EmbeddedAws:
    """One moto server, started by the constructor and stopped by `stop()` or the end of a `with` block.

    Args:
        host: address to listen on; the lab passes a bridge's address so that the booted instance reaches it.
        port: TCP port, 0 for any free one.
        region: default region of `client()`.
        log_path: where the server's own messages go; a temporary file that is removed at the end by default.

    Raises:
        lab.moto.errors.ServerFailed: the server ended or kept silent for `START_TIMEOUT_SECONDS` (longer on a busy
            machine).
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, region: str = DEFAULT_REGION, log_path: Path | None = None
    ) -> None:
        self.host = host
        self.region = region
        self.account_id = ACCOUNT_ID
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()
        self._log: IO[bytes] = log_path.open("a+b") if log_path else tempfile.TemporaryFile()  # noqa: SIM115
        # -P keeps lab/moto and the working directory off the module path; the child appends the repository itself.
        self._server = subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
            [sys.executable, "-P", str(Path(__file__).resolve()), "--host", host, "--port", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_server_environment(),
        )
        try:
            self.port = self._await_port()
        except BaseException:
            self.stop()
            raise

    @property
    def endpoint_url(self) -> str:
        """The URL for `AWS_ENDPOINT_URL`, without a trailing slash."""
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point any AWS SDK or CLI at this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a (cached, thread-safe) boto3 client of this server."""
        import boto3
        from botocore.config import Config

        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                session = boto3.session.Session(
                    aws_access_key_id=CREDENTIAL, aws_secret_access_key=CREDENTIAL, region_name=key[1]
                )
                self._clients[key] = session.client(
                    service,  # type: ignore[call-overload]  # any service's name
                    endpoint_url=self.endpoint_url,
                    config=Config(
                        retries={"total_max_attempts": 1},
                        read_timeout=READ_TIMEOUT_SECONDS,
                        s3={"addressing_style": "path"},
                        max_pool_connections=64,
                    ),
                )
            return self._clients[key]

    def reset(self) -> None:
        """Forget everything that was created; the server keeps running."""
        self._post("/moto-api/reset")

    def seed(self, bucket: str, objects: Mapping[str, bytes | str]) -> None:
        """Put many objects into a bucket at once, in their order; no policy is asked."""
        from lab.moto.seeding import SEED_PATH, seed_document

        self._post(SEED_PATH, seed_document(bucket, objects))

    def last_words(self) -> str:
        """Return the last line of the server's own messages, which says why it answered with an internal error."""
        with contextlib.suppress(OSError, ValueError):
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    def stop(self) -> None:
        """End the server; calling it again does nothing."""
        if self._server.stdin:
            with contextlib.suppress(OSError):
                self._server.stdin.close()
        try:
            self._server.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        if self._server.stdout:
            self._server.stdout.close()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _await_port(self) -> int:
        """The child writes one JSON line once its socket listens, so that nobody guesses a free port or polls."""
        from lab.host.deadline import scaled
        from lab.moto.errors import ServerFailed

        line: list[bytes] = []
        stdout = self._server.stdout
        if stdout is None:
            raise ServerFailed("The embedded AWS server has no output to read its port from.")
        reader = threading.Thread(target=lambda: line.append(stdout.readline()), daemon=True)
        reader.start()
        reader.join(scaled(START_TIMEOUT_SECONDS))
        if line and line[0]:
            return int(json.loads(line[0])["port"])
        said = self.last_words() or "it gave no reason"
        raise ServerFailed(f"The embedded AWS server did not start on {self.host}: {said}.")

    def _post(self, path: str, body: bytes = b"") -> None:
        # Else it counts as a form, and the server finds no body.
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 - our own endpoint
            self.endpoint_url + path, body, headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=READ_TIMEOUT_SECONDS):  # noqa: S310
            pass


def _server_environment() -> dict[str, str]:
    """Nothing of the user's own AWS configuration may reach the server, and moto must know AWS's managed policies."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    }


def main(arguments: list[str] | None = None) -> int:
    """Serve until standard input closes, which it does when the parent process ends for whatever reason."""
    parser = argparse.ArgumentParser(description="Serve the embedded AWS until standard input closes.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args(arguments)

    from moto.server import ThreadedMotoServer

    from lab.moto import gaps as moto_gaps
    from lab.moto.seeding import accept_seeds
    from lab.moto.serving import keep_connections_open

    moto_gaps.close_gaps()
    keep_connections_open()
    accept_seeds(ACCOUNT_ID)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(chosen.host, chosen.port, verbose=False)
    threading.excepthook = lambda failure: os._exit(_report(failure.exc_value))
    server.start()
    # What is imported lives as long as the server: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    print(json.dumps({"port": server.get_host_and_port()[1]}), flush=True)
    # The parent's end of this pipe closes with the parent process. Linux's parent-death signal is not used: it
    # fires when the thread that started us ends, which may be long before its process does.
    sys.stdin.buffer.read()
    os._exit(0)


def _report(error: BaseException | None) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.path.append(str(REPOSITORY_ROOT))
    sys.exit(main())
