import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.machine.imds import ImdsServer, listen_on_loopback
from lab.machine.imds_answers import InstanceIdentity, SpotAction
from openclaw_agent.cli import spot_watch as watch_command
from openclaw_agent.host.metadata import InstanceMetadata, MetadataUnavailable
from openclaw_agent.host.spot_watch import RESPONSES, Event, EventKind, Step, look, watch
from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import Settings

AT = datetime(2026, 2, 27, 14, 2, tzinfo=UTC)
IDENTITY = InstanceIdentity("i-0123456789abcdef0", "t4g.small", "us-east-1", "us-east-1a", "10.0.0.4", "role")
SOON = 0.01


@pytest.fixture
def imds() -> Iterator[ImdsServer]:
    with ImdsServer(IDENTITY, listen_on_loopback()) as server:
        yield server


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    return RunRecord("watch", Settings("bucket", "us-east-1", tmp_path, tmp_path, tmp_path))


class Systemctl:
    """Records what would be run, and lets something happen after each; `code` is what each command ends with."""

    def __init__(self, *happenings: Callable[[], None], code: int = 0) -> None:
        self.commands: list[str] = []
        self.happenings = list(happenings)
        self.code = code

    def __call__(self, step: Step) -> int:
        self.commands.append(" ".join(step.command))
        if self.happenings:
            self.happenings.pop(0)()
        return self.code


def watched(imds: ImdsServer, record: RunRecord, systemctl: Systemctl) -> Event:
    return watch(record, imds.endpoint_url, systemctl, SOON)


def soon(happening: Callable[[], None], seconds: float = 0.1) -> None:
    """Let something happen while the watch has asked several times."""
    threading.Timer(seconds, happening).start()


STOP_AND_SAVE = ["systemctl stop openclaw.service", "systemctl stop openclaw-s3-final.service"]
BACK_UP_NOW = "systemctl start --no-block openclaw-s3-backup.service"


@pytest.mark.parametrize("action", list(SpotAction), ids=lambda action: str(action.value))
def test_a_notice_stops_the_gateway_and_then_saves(imds: ImdsServer, record: RunRecord, action: SpotAction) -> None:
    systemctl = Systemctl()
    soon(lambda: imds.interrupt(AT, action))
    assert watched(imds, record, systemctl).kind is EventKind.INTERRUPTION
    assert systemctl.commands == STOP_AND_SAVE


def test_a_rebalance_recommendation_asks_for_one_backup_and_watches_on(imds: ImdsServer, record: RunRecord) -> None:
    systemctl = Systemctl(lambda: soon(lambda: imds.interrupt(AT)))
    imds.recommend_rebalance(AT)
    assert watched(imds, record, systemctl).kind is EventKind.INTERRUPTION
    assert systemctl.commands == [BACK_UP_NOW, *STOP_AND_SAVE]


def test_a_second_recommendation_of_another_time_asks_again(imds: ImdsServer, record: RunRecord) -> None:
    systemctl = Systemctl(lambda: imds.recommend_rebalance(AT + timedelta(hours=1)), lambda: imds.interrupt(AT))
    imds.recommend_rebalance(AT)
    watched(imds, record, systemctl)
    assert systemctl.commands.count(BACK_UP_NOW) == 2


def test_a_group_that_terminates_the_instance_is_a_notice_too(imds: ImdsServer, record: RunRecord) -> None:
    systemctl = Systemctl()
    imds.set_target_lifecycle_state("InService")
    soon(lambda: imds.set_target_lifecycle_state("Terminated"))
    assert watched(imds, record, systemctl).kind is EventKind.TERMINATION
    assert systemctl.commands == STOP_AND_SAVE


def test_a_gateway_that_cannot_be_stopped_does_not_keep_the_backup_from_running(
    imds: ImdsServer, record: RunRecord
) -> None:
    systemctl = Systemctl(code=1)
    imds.interrupt(AT)
    watched(imds, record, systemctl)
    assert systemctl.commands == STOP_AND_SAVE


def test_a_service_that_goes_silent_is_watched_on(record: RunRecord, caplog: pytest.LogCaptureFixture) -> None:
    listener = listen_on_loopback()
    address = listener.getsockname()
    server = ImdsServer(IDENTITY, listener)
    systemctl = Systemctl()
    restarted: list[ImdsServer] = []

    def come_back() -> None:
        # The new server knows no token of the old one: the watch must get another.
        again = ImdsServer(IDENTITY, socket.create_server(address, backlog=8))
        again.interrupt(AT)
        restarted.append(again)

    soon(server.close)
    soon(come_back, 0.25)
    try:
        assert watched(server, record, systemctl).kind
    finally:
        for again in restarted:
            again.close()
    assert systemctl.commands == STOP_AND_SAVE
    said = caplog.messages
    # Each question says it once, and not at every try.
    assert 1 <= sum("spot/instance-action" in line and "Watching on" in line for line in said) <= 2


def test_nothing_is_announced_on_a_quiet_instance(imds: ImdsServer) -> None:
    found = look(imds.endpoint_url)
    assert (found.events, found.unanswered) == ((), ())


def test_the_command_asked_once_tells_and_does_nothing(
    imds: ImdsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imds.interrupt(AT)
    run_once_at(imds.endpoint_url, tmp_path, monkeypatch)
    assert watch_command.main(["--once", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["event"] for row in told] == ["interruption"]
    assert json.loads(told[0]["announced"])["action"] == "terminate"


def test_the_command_asked_once_of_nobody_does_not_say_that_nothing_is_announced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_once_at("http://127.0.0.1:1", tmp_path, monkeypatch)
    assert watch_command.main(["--once"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "does not answer" in told.err


def run_once_at(endpoint: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)
    monkeypatch.setenv("OPENCLAW_LOG_DIR", str(folder))
    monkeypatch.setenv("OPENCLAW_AGENT_SETTINGS", os.devnull + ".missing")


def test_an_expired_token_is_renewed() -> None:
    now = [AT]
    with ImdsServer(IDENTITY, listen_on_loopback(), clock=lambda: now[0]) as server:
        client = InstanceMetadata(server.endpoint_url)
        assert client.get("/latest/meta-data/instance-id") == "i-0123456789abcdef0"
        now[0] += timedelta(days=2)
        assert client.get("/latest/meta-data/instance-id") == "i-0123456789abcdef0"


def test_no_service_at_all_is_said_so() -> None:
    with pytest.raises(MetadataUnavailable, match="does not answer"):
        InstanceMetadata("http://127.0.0.1:1").get("/latest/meta-data/instance-id")


@pytest.mark.subprocess
def test_the_steps_are_run_one_after_another_and_what_fails_or_hangs_is_told(
    imds: ImdsServer,
    record: RunRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = (
        Step(("sh", "-c", f"echo stop > '{tmp_path}/ran'; exit 7"), 10),
        Step((str(tmp_path / "no-such-program"),), 10),
        Step(("sleep", "60"), 0.1),
        Step(("sh", "-c", f"echo save >> '{tmp_path}/ran'"), 10),
    )
    monkeypatch.setitem(RESPONSES, EventKind.INTERRUPTION, steps)
    imds.interrupt(AT)
    began = time.monotonic()
    watch(record, imds.endpoint_url, every=SOON)
    assert time.monotonic() - began < 20
    assert (tmp_path / "ran").read_text() == "stop\nsave\n"
    said = caplog.text
    assert "ended with exit code 7; going on." in said
    assert "no-such-program cannot be run (No such file or directory); going on." in said
    assert "sleep 60 has not ended within 0.1 s; going on." in said
