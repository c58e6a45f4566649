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
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from openclaw_agent.cli import backup, restore
from openclaw_agent.session import Clock, utc_now
from openclaw_agent.store.bucket import Bucket
from tests.support.gateways import SignalFreezer
from tests.support.local_steps import Steps

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")
MAINS: dict[str, Callable[..., int]] = {"backup": backup.main, "restore": restore.main}


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
    # An ordinary user cannot read the interpreter's own folders.
    for name in ("openclaw_agent.store.bulk", "_strptime"):
        importlib.import_module(name)
    # Credentials and region are the same in every run of a test session.
    make = session.client
    made: dict[tuple[object, ...], Any] = {}

    def shared(service: str, *, config: Config) -> Any:
        asked = (service, *map(os.environ.get, ENDPOINTS), repr(vars(config)))
        if asked not in made:
            made[asked] = make(service, config=config)  # type: ignore[call-overload]
        return made[asked]

    session.client = shared  # type: ignore[method-assign, assignment]
    boto3.session.Session = lambda **_options: session  # type: ignore[assignment, misc]


def make_client(environment: dict[str, str]) -> None:
    """Make the client that a run in this environment will ask for, so that it finds it made."""
    kept = dict(os.environ)
    os.environ.update(environment)
    attempts, stall = environment["OPENCLAW_S3_ATTEMPTS"], environment["OPENCLAW_S3_STALL_SECONDS"]
    Bucket("any", "us-east-1", attempts=int(attempts), stall_seconds=float(stall))
    os.environ.clear()
    os.environ.update(kept)


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
    steps = Steps(order["stop_at"], order["side"], order["lookout"])
    steps.watch_all()
    return steps


def run(order: dict[str, Any], go: int, tell: int) -> None:
    """Run the commands one after the other until one fails; this is the whole life of the forked process.

    At its end it tells what it had to import, so that the next run finds it imported.
    """
    code = 70
    known = set(sys.modules)
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
        os.write(tell, " ".join(sys.modules.keys() - known).encode())
        os._exit(code)


def serve() -> None:
    """Take one order a line; answer with the pid at once, and with the wait status at the end."""
    for line in sys.stdin:
        order = json.loads(line)
        make_client(order["environment"])
        go, start = os.pipe()
        hear, tell = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(start)
            run(order, go, tell)
        os.close(go)
        os.close(tell)
        print(json.dumps({"pid": child}), flush=True)
        sys.stdin.readline()
        with contextlib.suppress(BrokenPipeError):
            os.write(start, b"g")
        os.close(start)
        _, status = os.waitpid(child, 0)
        # Whoever survives a killed run, as the freezer's watcher, holds the other end open.
        os.set_blocking(hear, False)
        with contextlib.suppress(BlockingIOError):
            for name in os.read(hear, 65536).decode().split():
                importlib.import_module(name)
        os.close(hear)
        print(json.dumps({"status": status}), flush=True)


if __name__ == "__main__":
    hurry_botocore()
    share_botocore_models()
    # Forked processes share the pages that no collector touches.
    gc.collect()
    gc.freeze()
    gc.disable()
    serve()
