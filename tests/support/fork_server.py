"""A fork server for the agent: it imports everything once, then forks one process for each run it is asked for.

Standard input and output carry JSON lines. A run may be told to kill itself before or after its k-th local step.
"""

import contextlib
import gc
import importlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.endpoint
import botocore.loaders
from botocore.exceptions import BotoCoreError

from openclaw_agent.capture import capture
from openclaw_agent.cli import backup, restore
from openclaw_agent.session import Clock, utc_now
from openclaw_agent.state_dir import swap
from tests.support.gateways import SignalFreezer

MAINS: dict[str, Callable[..., int]] = {"backup": backup.main, "restore": restore.main}
# Every one of them changes what a crash leaves behind: names on disk, folders, a gateway that stands still.
LOCAL_STEPS: tuple[tuple[Any, str], ...] = (
    (os, "rename"),
    (os, "replace"),
    (os, "unlink"),
    (os, "rmdir"),
    (os, "mkdir"),
    (os, "symlink"),
    (os, "fsync"),
    (swap, "exchange"),
    (subprocess, "run"),
    (capture, "clone_file"),
    (os, "sendfile"),
)


class Steps:
    """Counts local steps, and ends the process without a goodbye at the one that was asked for."""

    def __init__(self, stop_at: int, side: str) -> None:
        self.count = 0
        self._stop_at = stop_at
        self._side = side
        self._process = os.getpid()

    def watch(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            if os.getpid() != self._process:
                # The freezer's watcher is a process of its own, and survives.
                return original(*arguments, **options)
            self.count += 1
            number = self.count
            self._perhaps_stop(number, "before", name)
            try:
                return original(*arguments, **options)
            finally:
                # A step that failed is a point as well, and the points behind it are reached past it.
                self._perhaps_stop(number, "after", name)

        setattr(owner, name, counted)

    def _perhaps_stop(self, number: int, side: str, name: str) -> None:
        if number == self._stop_at and side == self._side:
            os.write(2, f"killed {side} local step {number}: {name}\n".encode())
            os.kill(self._process, signal.SIGKILL)


def share_botocore_models() -> None:
    """Every session reads S3's model again, which takes longer than a whole run; one cache serves all."""
    cache: dict[Any, Any] = {}
    prepare = botocore.loaders.Loader.__init__

    def prepared(self: Any, *arguments: Any, **options: Any) -> None:
        prepare(self, *arguments, **options)
        self._cache = cache

    botocore.loaders.Loader.__init__ = prepared  # type: ignore[method-assign]
    session = boto3.Session(region_name="us-east-1")
    warm = session.client("s3", endpoint_url="http://127.0.0.1:1", aws_access_key_id="-", aws_secret_access_key="-")
    with contextlib.suppress(BotoCoreError):
        # What is imported on a first request may lie where an ordinary user cannot read it.
        warm.list_objects_v2(Bucket="nobody-listens")
    "localhost".encode("idna")
    importlib.import_module("openclaw_agent.store.bulk")
    # Credentials, endpoint and region are the same in every run of a test session.
    boto3.session.Session = lambda **_options: session  # type: ignore[assignment, misc]


def hurry_botocore() -> None:
    """Waits between two attempts take a tenth of their time."""
    sleep = time.sleep
    botocore.endpoint.time = SimpleNamespace(sleep=lambda seconds: sleep(seconds / 10))  # type: ignore[attr-defined]


def clock_from(first: str) -> Iterator[datetime]:
    """Each backup is taken 20 minutes after the one before."""
    began = datetime.fromisoformat(first)
    return (began + timedelta(minutes=20 * turn) for turn in itertools.count())


def clock_of(order: dict[str, Any]) -> Clock:
    if not order["clock"]:
        return utc_now
    turns = clock_from(order["clock"])
    return lambda: next(turns)


def become(order: dict[str, Any]) -> Steps:
    """Set the forked process up as the order has it."""
    os.environ.clear()
    os.environ.update(order["environment"])
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if order["gateway"]:
        backup.freezer_for = lambda _name: SignalFreezer(order["gateway"])  # type: ignore[attr-defined, assignment]
    if order["largest_file"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"],) * 2)
    if order["uid"]:
        os.setgroups([])
        os.setgid(order["uid"])
        os.setuid(order["uid"])
    steps = Steps(order["stop_at"], order["side"])
    for owner, name in LOCAL_STEPS:
        steps.watch(owner, name)
    return steps


def run(order: dict[str, Any], go: int) -> None:
    """Run the commands one after the other until one fails; this is the whole life of the forked process."""
    code = 70
    try:
        steps = become(order)
        if os.read(go, 1) != b"g":
            os._exit(71)
        clock = clock_of(order)
        for name, *arguments in order["commands"]:
            try:
                code = int(MAINS[name](arguments, clock=clock))
            except SystemExit as ended:
                code = int(ended.code or 0)
            if code:
                break
        print(f"local steps: {steps.count}")
    except BaseException:  # noqa: BLE001 - said where the test shows what the run printed
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Take one order a line; answer with the pid at once, and with the wait status at the end."""
    for line in sys.stdin:
        order = json.loads(line)
        go, start = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(start)
            run(order, go)
        os.close(go)
        print(json.dumps({"pid": child}), flush=True)
        sys.stdin.readline()
        with contextlib.suppress(BrokenPipeError):
            os.write(start, b"g")
        os.close(start)
        _, status = os.waitpid(child, 0)
        print(json.dumps({"status": status}), flush=True)


if __name__ == "__main__":
    hurry_botocore()
    share_botocore_models()
    # Forked processes share the pages that no collector touches.
    gc.collect()
    gc.freeze()
    gc.disable()
    serve()
