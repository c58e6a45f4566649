"""`rclone serve s3` as a measuring server: many times faster than the embedded AWS, but deaf to conditions.

Conditional writes are therefore no matter for it: tests/agent/backup/test_large_manifests.py proves those.
"""

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 20.0


@contextlib.contextmanager
def rclone_server(program: str, folder: Path, *buckets: str) -> Iterator[dict[str, str]]:
    """Serve `folder` with these buckets, and yield the environment that points an AWS SDK at it.

    Raises:
        TimeoutError: when it does not listen after `START_SECONDS`.
    """
    for bucket in buckets:
        (folder / bucket).mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder.parent / "rclone.log").open("wb") as messages:
        # With --vfs-cache-mode off and --dir-cache-time 0 it stopped answering after some thirty uploads.
        server = subprocess.Popen(  # noqa: S603 - the program that the caller names
            (program, "serve", "s3", str(folder), "--addr", f"127.0.0.1:{port}", "--auth-key", "testing,testing"),
            stdout=messages,
            stderr=messages,
        )
    try:
        _await(port)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            # It sends a whole object's checksum with a part of it, which S3 does not, and which boto3 refuses.
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }
    finally:
        server.terminate()
        server.wait()


def _await(port: int) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise TimeoutError(f"rclone does not listen after {START_SECONDS:g} s.")
