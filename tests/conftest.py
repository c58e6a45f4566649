"""Rules for every test: no socket but loopback, no other program unless a marker asks for it, and no clock decides."""

import gc
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, settings

from lab.faults.proxy import FaultProxy
from lab.moto.server import EmbeddedAws
from tests.other_servers.expectations import OTHER_SERVER, OtherServer, expect_differences
from tests.support.agent_process import BUCKET
from tests.support.bucket_image import BucketKeeper
from tests.support.samples import examples
from tests.tiers import mark_by_fixtures

# A busy machine is no failure.
settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=examples(100)
)
settings.load_profile("unhurried")

COVERED = "covered: "
_LOOPBACK = ("127.", "::1", "localhost")
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 3 * 1024**3


def pytest_configure(config: pytest.Config) -> None:
    """Let no way of starting decide a test; write into memory where possible: syncing takes a quarter of the time."""
    # Nothing of what the collection makes is thrown away before its end.
    gc.disable()
    # A shell starts its background jobs with SIGINT ignored, and every child would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = config.option.basetemp or "TMPDIR" in os.environ or config.option.markexpr == "booted"
    if not chosen and _has_room_for_programs(_MEMORY):
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark before `-m` chooses; begin with the stacks, so that no second worker deploys them to help with their end."""
    mark_by_fixtures(items)
    items.sort(key=lambda item: not item.nodeid.startswith("tests/stacks/test_"))
    if OTHER_SERVER in os.environ:
        expect_differences(items)


def pytest_collection_finish() -> None:
    """Let the collector look through what is made from now on, and not through 4,000 tests and all that they import."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests say that they covered, also from xdist's workers, whose output is captured."""
    reports = terminalreporter.getreports("passed")
    lines = [line for report in reports for line in report.capstdout.splitlines() if line.startswith(COVERED)]
    if lines:
        terminalreporter.section("covered")
        terminalreporter.write_line("\n".join(line.removeprefix(COVERED) for line in sorted(lines)))


def _has_room_for_programs(folder: Path) -> bool:
    return (
        os.access(folder, os.W_OK)
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
        # The file system's size is a limit; that the machine has as much is another question.
        and min(shutil.disk_usage(folder).free, _available_memory()) > _ROOM_BYTES
    )


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


class Forbidden(BaseException):
    """Raised past any `except Exception` of the code under test."""


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("booted"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(host).startswith(_LOOPBACK):
            raise Forbidden(f"a test tried to reach {address!r}")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def no_other_programs(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("booted") or request.node.get_closest_marker("subprocess"):
        return

    def forbidden(_self: object, arguments: object, *_rest: object, **_options: object) -> None:
        raise Forbidden(f"a test without the marker 'subprocess' tried to start {arguments!r}")

    monkeypatch.setattr(subprocess.Popen, "__init__", forbidden)


@pytest.fixture(autouse=True)
def no_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    # Nothing listens on port 1: a look-up of instance metadata fails at once.
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")


@pytest.fixture(scope="session")
def embedded_aws() -> Iterator[EmbeddedAws]:
    """The worker's one server for tests that keep to buckets of their own; nobody resets it.

    Where `make test-other-servers` has started another server, it is that one.
    """
    other = os.environ.get(OTHER_SERVER)
    if other:
        yield cast("EmbeddedAws", OtherServer(other))
        return
    with EmbeddedAws() as server:
        yield server


@pytest.fixture(scope="session")
def session_proxy(embedded_aws: EmbeddedAws) -> Iterator[FaultProxy]:
    with FaultProxy(embedded_aws.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def proxy(session_proxy: FaultProxy) -> Iterator[FaultProxy]:
    """The worker's one faulty network, behaving until it is told otherwise."""
    session_proxy.begin()
    yield session_proxy
    session_proxy.begin()


@pytest.fixture
def keeper(embedded_aws: EmbeddedAws, session_proxy: FaultProxy) -> BucketKeeper:
    # What a killed run had asked for may still be on its way into the bucket.
    assert session_proxy.wait_until_idle(60)
    made = BucketKeeper(embedded_aws.endpoint_url, BUCKET)
    made.start_empty()
    return made
