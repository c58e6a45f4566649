"""SeaweedFS on loopback: one program that checks signatures, checksums, conditions, XML and limits by itself."""

import contextlib
import json
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

KEY = "testing"
REGION = "us-east-1"
START_SECONDS = 120.0
PORTS = ("master.port", "volume.port", "filer.port", "s3.port")
# Each has a second port, so much higher, for the parts' talk with each other; given by name, they do not find it.
SECOND_PORT = 10_000


@contextlib.contextmanager
def seaweedfs(program: Path, folder: Path) -> Iterator[str]:
    """Serve S3 out of the empty folder until the block ends, and yield the endpoint's URL.

    Raises:
        TimeoutError: when it takes no object after `START_SECONDS`.
    """
    everything = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = [{"accessKey": KEY, "secretKey": KEY}]
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [{"name": KEY, "credentials": keys, "actions": everything}]}))
    (folder / "data").mkdir()
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    with (folder / "weed.log").open("wb") as messages:
        server = subprocess.Popen(
            [
                str(program),
                "server",
                f"-dir={folder / 'data'}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-s3",
                f"-s3.config={config}",
                # S3 has no such thing, and a test of a bucket that is not there would make one.
                "-s3.autoCreateBucket=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-master.telemetry=false",
                # A volume is a file, and each bucket has its own: hundreds of buckets, a few kilobytes in each.
                "-volume.max=4000",
                "-master.volumeSizeLimitMB=64",
                *(f"-{name}={port}" for name, port in ports.items()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            cwd=folder,
        )
    url = f"http://127.0.0.1:{ports['s3.port']}"
    try:
        _await_writes(server, url)
        yield url
    finally:
        server.terminate()
        server.wait()
        for left in (f"s3-{ports['s3.port']}", f"s3-grpc-{ports['s3.port'] + SECOND_PORT}"):
            Path(f"/tmp/seaweedfs-{left}.sock").unlink(missing_ok=True)


def client(url: str) -> object:
    """A boto3 client of the server."""
    return boto3.Session(KEY, KEY, region_name=REGION).client(
        "s3", endpoint_url=url, config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)
    )


def _await_writes(server: subprocess.Popen[bytes], url: str) -> None:
    # The port answers seconds before a volume takes the first byte.
    s3, until = client(url), time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(BotoCoreError, ClientError):
            s3.create_bucket(Bucket="is-it-there")  # type: ignore[attr-defined]
        with contextlib.suppress(BotoCoreError, ClientError):
            s3.put_object(Bucket="is-it-there", Key="key", Body=b"x")  # type: ignore[attr-defined]
            return
        time.sleep(0.3)
    raise TimeoutError(f"SeaweedFS takes no object after {START_SECONDS:g} s (exit code {server.poll()}).")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        found: list[int] = []
        while len(found) < count:
            port = random.randrange(15_000, 30_000)
            with contextlib.suppress(OSError):
                for each in (port, port + SECOND_PORT):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", each))
                found.append(port)
        return found
