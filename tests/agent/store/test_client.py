"""The transfer engine goes where boto3 goes, and signs with keys that are good: checked at the requests."""

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
import pytest

from lab.faults.plan import Operation, Seen
from lab.faults.proxy import FaultProxy, Moment
from openclaw_agent.errors import UsageError
from openclaw_agent.store.client import KEYS_GOOD_FOR, CurrentKeys, bucket_url, s3_client
from tests.support.simulated_instance import FreshBucket, contents

KEYS_LIVE_SECONDS = 0.8
NOWHERE = "http://127.0.0.1:1"


def client(region: str = "us-east-1") -> Any:
    return s3_client(boto3.Session(region_name=region), attempts=1, stall_seconds=1.0)


@pytest.mark.parametrize(
    ("region", "bucket", "url"),
    [
        ("us-east-1", "plain", "https://plain.s3.amazonaws.com"),
        ("me-central-1", "plain", "https://plain.s3.me-central-1.amazonaws.com"),
        ("me-central-1", "with.dots", "https://s3.me-central-1.amazonaws.com/with.dots"),
        ("us-gov-west-1", "plain", "https://plain.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "plain", "https://plain.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_every_partition_has_its_own_names(region: str, bucket: str, url: str) -> None:
    assert bucket_url(client(region), bucket) == url


ENDPOINTS = {
    "profile": ("[default]\nendpoint_url={url}\n", {}),
    "named profile": ("[profile other]\nendpoint_url={url}\n", {"AWS_PROFILE": "other"}),
    "services section": ("[default]\nservices=mine\n[services mine]\ns3 =\n  endpoint_url={url}\n", {}),
    "variable": ("", {"AWS_ENDPOINT_URL": "{url}"}),
    "variable of the service": ("", {"AWS_ENDPOINT_URL": NOWHERE, "AWS_ENDPOINT_URL_S3": "{url}"}),
    "variable over profile": (f"[default]\nendpoint_url={NOWHERE}\n", {"AWS_ENDPOINT_URL": "{url}"}),
    "path style by name": ("[default]\nendpoint_url={named}\ns3 =\n  addressing_style=path\n", {}),
    "signed payloads": ("[default]\nendpoint_url={url}\ns3 =\n  payload_signing_enabled=true\n", {}),
    "signature by name": ("[default]\nendpoint_url={url}\ns3 =\n  signature_version=s3v4\n", {}),
}


@pytest.mark.parametrize("case", ENDPOINTS)
def test_uploads_copies_and_downloads_go_where_the_small_requests_go(
    world: FreshBucket, proxy: FaultProxy, tmp_path: Path, case: str
) -> None:
    config, variables = ENDPOINTS[case]
    url = proxy.endpoint_url
    places = {"url": url, "named": url.replace("127.0.0.1", "localhost")}
    (tmp_path / "config").write_text(config.format(**places))
    del world.environment["AWS_ENDPOINT_URL"]
    world.environment |= {name: value.format(**places) for name, value in variables.items()}
    world.environment["AWS_CONFIG_FILE"] = str(tmp_path / "config")
    with mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": ""}):
        os.environ.pop("AWS_ENDPOINT_URL")
        machine = world.machine("first")
        assert machine.boot().code == 0
        machine.write("note.md")
        run = machine.backup()
        assert run.code == 0, run.err
        assert proxy.wait_until_idle()
        assert {Operation.GET, Operation.PUT, Operation.COPY} <= {row.seen.operation for row in proxy.log}
        assert set(world.keys("latest/")) == {"latest/.openclaw/note.md", "latest/manifest.json"}
        assert contents(world.booted("second").state) == {"note.md": "text\n"}


def test_a_bucket_goes_into_the_name_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[default]\nendpoint_url=http://s3.example:9000\ns3 =\n  addressing_style=virtual\n"
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert bucket_url(client(), "plain") == "http://plain.s3.example:9000"


def test_configured_endpoints_can_be_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert bucket_url(client("eu-central-1"), "plain") == "https://plain.s3.eu-central-1.amazonaws.com"


def test_a_signature_that_only_one_of_the_two_can_make_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text("[default]\ns3 =\n  signature_version = s3\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(UsageError, match="signature_version = 's3' in the AWS configuration is not allowed: s3v4"):
        bucket_url(client(), "plain")


class KeyServer:
    """Hands out keys as the metadata service of a container does; each is good for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.ends: dict[str, float] = {}
        door = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                name, end = f"key-{len(door.ends)}", time.time() + seconds
                door.ends[name] = end
                keys = {
                    "AccessKeyId": name,
                    "SecretAccessKey": "secret",
                    "Token": "token",
                    "Expiration": datetime.fromtimestamp(end, UTC).isoformat(),
                }
                body = json.dumps(keys).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/keys"


@pytest.fixture
def keys_for_a_moment() -> Iterator[KeyServer]:
    made = KeyServer(KEYS_LIVE_SECONDS)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_no_request_of_a_long_transfer_is_signed_with_keys_past_their_end(
    world: FreshBucket, proxy: FaultProxy, keys_for_a_moment: KeyServer
) -> None:
    late: list[float] = []

    def slow_and_strict(moment: Moment, seen: Seen) -> bool:
        if moment is Moment.ARRIVED:
            late.append(time.time() - keys_for_a_moment.ends[seen.signed_by])
            time.sleep(0.3)
        return True

    machine = world.booted("first")
    for number in range(600):
        machine.write(f"{number}.md", f"note {number}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del world.environment[name]
    world.environment["AWS_ENDPOINT_URL"] = proxy.endpoint_url
    world.environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = keys_for_a_moment.url
    with mock.patch.dict(os.environ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            os.environ.pop(name, None)
        proxy.begin(observer=slow_and_strict)
        began = time.monotonic()
        run = machine.backup()
    assert run.code == 0, run.err
    assert time.monotonic() - began > 2 * KEYS_LIVE_SECONDS
    assert len({row.seen.signed_by for row in proxy.log}) > 2
    # A request is signed a moment before it arrives.
    assert max(late) < 0.5


@pytest.mark.parametrize(("seconds_left", "reused"), [(3600, True), (901, True), (599, False), (60, False)])
def test_keys_are_asked_for_again_before_their_end_and_never_kept_past_it(seconds_left: float, reused: bool) -> None:
    keys = KeyServer(seconds_left)
    end = time.time() + seconds_left
    with mock.patch.dict(os.environ, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": keys.url}):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            os.environ.pop(name, None)
        good_until = CurrentKeys(boto3.Session())()["expires_at"]
    keys.server.shutdown()
    keys.server.server_close()
    assert good_until is not None
    assert good_until.timestamp() <= max(end, time.time())
    assert (good_until - datetime.now(UTC) > KEYS_GOOD_FOR - timedelta(minutes=1)) is reused


def test_keys_without_an_end_are_kept() -> None:
    assert CurrentKeys(boto3.Session("id", "secret"))()["expires_at"] is None
