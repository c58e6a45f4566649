import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from lab.machine.imds import ImdsServer, listen_on_loopback
from lab.machine.imds_answers import InstanceIdentity, SpotAction
from openclaw_agent.cli import spot_watch as watch_command
from openclaw_agent.host.metadata import INTERRUPTION_PATH, InstanceMetadata, MetadataUnavailable
from openclaw_agent.host.spot_watch import RESPONSES, EventKind, look, watch
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings

AT = datetime(2026, 2, 27, 14, 2, tzinfo=UTC)
IDENTITY = InstanceIdentity("i-0123456789abcdef0", "t4g.small", "us-east-1", "us-east-1a", "10.0.0.4", "role")


@pytest.fixture
def imds() -> Iterator[ImdsServer]:
    with ImdsServer(IDENTITY, listen_on_loopback()) as server:
        yield server


@pytest.fixture
def metadata(imds: ImdsServer) -> InstanceMetadata:
    return InstanceMetadata(imds.endpoint_url)


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog("watch", Settings("bucket", "us-east-1", tmp_path, tmp_path, tmp_path))


class Systemctl:
    """Records what would be run; `code` is what each command ends with."""

    def __init__(self, code: int = 0) -> None:
        self.commands: list[str] = []
        self.code = code

    def __call__(self, command: Sequence[str]) -> int:
        self.commands.append(" ".join(command))
        return self.code


class Turns:
    """Stands for the pause between two looks, and lets something happen in each."""

    def __init__(self, *happenings: Callable[[], None]) -> None:
        self.happenings = list(happenings)

    def __call__(self, _seconds: float) -> None:
        assert self.happenings, "the watch went on longer than the test has turns"
        self.happenings.pop(0)()


STOP_AND_SAVE = ["systemctl stop openclaw.service", "systemctl stop openclaw-s3-final.service"]
BACK_UP_NOW = "systemctl start --no-block openclaw-s3-backup.service"


@pytest.mark.parametrize("action", list(SpotAction), ids=lambda action: str(action.value))
def test_a_notice_stops_the_gateway_and_then_saves(
    imds: ImdsServer, metadata: InstanceMetadata, log: RunLog, action: SpotAction
) -> None:
    systemctl = Systemctl()
    event = watch(metadata, log, systemctl, Turns(lambda: None, lambda: imds.interrupt(AT, action)))
    assert event.kind is EventKind.INTERRUPTION
    assert systemctl.commands == STOP_AND_SAVE


def test_a_rebalance_recommendation_asks_for_one_backup_and_watches_on(
    imds: ImdsServer, metadata: InstanceMetadata, log: RunLog
) -> None:
    systemctl = Systemctl()
    turns = Turns(lambda: imds.recommend_rebalance(AT), lambda: None, lambda: None, lambda: imds.interrupt(AT))
    assert watch(metadata, log, systemctl, turns).kind is EventKind.INTERRUPTION
    assert systemctl.commands == [BACK_UP_NOW, *STOP_AND_SAVE]


def test_a_second_recommendation_of_another_time_asks_again(
    imds: ImdsServer, metadata: InstanceMetadata, log: RunLog
) -> None:
    systemctl = Systemctl()
    turns = Turns(
        lambda: imds.recommend_rebalance(AT),
        lambda: imds.recommend_rebalance(AT + timedelta(hours=1)),
        lambda: imds.interrupt(AT),
    )
    watch(metadata, log, systemctl, turns)
    assert systemctl.commands.count(BACK_UP_NOW) == 2


def test_a_group_that_terminates_the_instance_is_a_notice_too(
    imds: ImdsServer, metadata: InstanceMetadata, log: RunLog
) -> None:
    systemctl = Systemctl()
    imds.set_target_lifecycle_state("InService")
    turns = Turns(lambda: None, lambda: imds.set_target_lifecycle_state("Terminated"))
    assert watch(metadata, log, systemctl, turns).kind is EventKind.TERMINATION
    assert systemctl.commands == STOP_AND_SAVE


def test_a_gateway_that_cannot_be_stopped_does_not_keep_the_backup_from_running(
    imds: ImdsServer, metadata: InstanceMetadata, log: RunLog
) -> None:
    systemctl = Systemctl(code=1)
    imds.interrupt(AT)
    watch(metadata, log, systemctl, Turns())
    assert systemctl.commands == STOP_AND_SAVE


def test_a_service_that_goes_silent_is_watched_on(log: RunLog, capsys: pytest.CaptureFixture[str]) -> None:
    listener = listen_on_loopback()
    address = listener.getsockname()
    server = ImdsServer(IDENTITY, listener)
    metadata = InstanceMetadata(server.endpoint_url)
    systemctl = Systemctl()
    restarted: list[ImdsServer] = []

    def come_back() -> None:
        again = ImdsServer(IDENTITY, socket.create_server(address, backlog=8))
        again.interrupt(AT)
        restarted.append(again)

    try:
        # The new server knows no token of the old one: the watch must get another.
        assert watch(metadata, log, systemctl, Turns(server.close, lambda: None, come_back)).kind
    finally:
        for again in restarted:
            again.close()
    assert systemctl.commands == STOP_AND_SAVE
    assert capsys.readouterr().err.count("Watching on") == 1


def test_nothing_is_announced_on_a_quiet_instance(metadata: InstanceMetadata) -> None:
    assert look(metadata) == []


def test_the_command_asked_once_tells_and_does_nothing(
    imds: ImdsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imds.interrupt(AT)
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.endpoint_url)
    monkeypatch.setenv("OPENCLAW_LOG_DIR", str(tmp_path))
    monkeypatch.setenv("OPENCLAW_AGENT_SETTINGS", os.devnull + ".missing")
    assert watch_command.main(["--once", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["event"] for row in told] == ["interruption"]
    assert json.loads(told[0]["announced"])["action"] == "terminate"


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


@contextmanager
def answering(token_status: int, status: int, body: str = "") -> Iterator[InstanceMetadata]:
    """A metadata service that gives every path the same answer."""

    class Exchange(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.reply(token_status, "token")

        def do_GET(self) -> None:
            self.reply(status, body)

        def reply(self, status: int, body: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: object) -> None:
            """Stays silent."""

    with HTTPServer(("127.0.0.1", 0), Exchange) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield InstanceMetadata(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize(
    ("token_status", "status", "sentence"),
    [
        (200, 500, f"The metadata service answered 500 for {INTERRUPTION_PATH}."),
        # A token that is refused is renewed once, not for ever.
        (200, 401, f"The metadata service answered 401 for {INTERRUPTION_PATH}."),
        (403, 200, "The metadata service gave no token (status 403)."),
    ],
    ids=["out of order", "no token is good enough", "no token"],
)
def test_a_service_that_answers_but_says_nothing_is_not_taken_for_a_quiet_one(
    token_status: int, status: int, sentence: str
) -> None:
    with answering(token_status, status) as metadata, pytest.raises(MetadataUnavailable) as told:
        look(metadata)
    assert str(told.value) == sentence


@pytest.mark.parametrize(
    "body", ["", "<html>not found</html>", "null", "[]", '"terminate"', "{}", '{"action": null}', '{"action": 3}']
)
def test_what_names_no_action_is_no_interruption(body: str) -> None:
    with answering(200, 200, body) as metadata:
        assert EventKind.INTERRUPTION not in {event.kind for event in look(metadata)}


@pytest.mark.subprocess
def test_the_responses_are_run_one_after_another_and_what_fails_is_told(
    imds: ImdsServer,
    metadata: InstanceMetadata,
    log: RunLog,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    commands = (("sh", "-c", f"echo stop > '{tmp_path}/ran'; exit 7"), ("sh", "-c", f"echo save >> '{tmp_path}/ran'"))
    monkeypatch.setitem(RESPONSES, EventKind.INTERRUPTION, commands)
    imds.interrupt(AT)
    watch(metadata, log, sleep=Turns())
    assert (tmp_path / "ran").read_text() == "stop\nsave\n"
    assert capsys.readouterr().err.count("ended with exit code 7; going on.") == 1
