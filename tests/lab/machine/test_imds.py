import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import botocore.session
import pytest

from lab.host.deadline import scaled
from lab.machine.imds import ImdsServer, listen_on_loopback
from lab.machine.imds_answers import InstanceIdentity, SpotAction

START = datetime(2026, 2, 27, 14, 0, tzinfo=UTC)
IDENTITY = InstanceIdentity(
    instance_id="i-0123456789abcdef0",
    instance_type="t4g.small",
    region="me-central-1",
    availability_zone="me-central-1a",
    local_ipv4="10.77.0.10",
    role="openclaw-lab-dev-instance",
    user_data="#cloud-config\n",
)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def imds(clock: Clock) -> Iterator[ImdsServer]:
    with ImdsServer(IDENTITY, listen_on_loopback(), clock) as server:
        yield server


def ask(imds: ImdsServer, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(
        imds.endpoint_url + path.lstrip("/"),
        method=method,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    try:
        with urllib.request.urlopen(request, timeout=scaled(5)) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def get(imds: ImdsServer, path: str) -> tuple[int, str]:
    return ask(imds, f"/latest/{path}", X_aws_ec2_metadata_token=imds.issue_token(60))


def test_a_token_is_given_for_a_put_and_opens_the_metadata(imds: ImdsServer) -> None:
    status, token = ask(imds, "/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="21600")
    assert status == 200
    assert ask(imds, "/latest/meta-data/instance-id", X_aws_ec2_metadata_token=token) == (200, IDENTITY.instance_id)


@pytest.mark.parametrize("lifetime", ["", "0", "21601", "-1", "soon"])
def test_a_token_with_a_lifetime_out_of_range_is_refused(imds: ImdsServer, lifetime: str) -> None:
    assert ask(imds, "/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds=lifetime)[0] == 400


def test_a_request_that_was_forwarded_gets_no_token(imds: ImdsServer) -> None:
    refused = ask(
        imds, "/latest/api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="60", X_Forwarded_For="10.0.0.1"
    )
    assert refused[0] == 403


@pytest.mark.parametrize("token", [None, "", "guessed"], ids=["none", "empty", "guessed"])
def test_without_a_good_token_nothing_is_answered(imds: ImdsServer, token: str | None) -> None:
    headers = {} if token is None else {"X_aws_ec2_metadata_token": token}
    assert ask(imds, "/latest/meta-data/instance-id", **headers)[0] == 401


def test_a_token_expires(imds: ImdsServer, clock: Clock) -> None:
    token = imds.issue_token(60)
    clock.now += timedelta(seconds=59)
    assert ask(imds, "/latest/meta-data/instance-id", X_aws_ec2_metadata_token=token)[0] == 200
    clock.now += timedelta(seconds=1)
    assert ask(imds, "/latest/meta-data/instance-id", X_aws_ec2_metadata_token=token)[0] == 401


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("meta-data/instance-id", "i-0123456789abcdef0"),
        ("meta-data/instance-type", "t4g.small"),
        ("meta-data/instance-life-cycle", "spot"),
        ("meta-data/local-ipv4", "10.77.0.10"),
        ("meta-data/placement/region", "me-central-1"),
        ("meta-data/placement/availability-zone", "me-central-1a"),
        ("meta-data/iam/security-credentials/", "openclaw-lab-dev-instance"),
        ("meta-data/autoscaling/target-lifecycle-state", "InService"),
        ("user-data", "#cloud-config\n"),
    ],
)
def test_an_instance_learns_about_itself(imds: ImdsServer, path: str, body: str) -> None:
    assert get(imds, path) == (200, body)


@pytest.mark.parametrize(
    "path",
    [
        "meta-data/spot/instance-action",
        "meta-data/spot/termination-time",
        "meta-data/events/recommendations/rebalance",
        "meta-data/iam/security-credentials/another-role",
        "meta-data/no-such-thing",
    ],
)
def test_what_is_not_there_is_404(imds: ImdsServer, path: str) -> None:
    assert get(imds, path) == (404, "")


def test_a_path_outside_latest_is_404(imds: ImdsServer) -> None:
    assert ask(imds, "/2009-04-04/meta-data/", X_aws_ec2_metadata_token=imds.issue_token(60))[0] == 404


def test_the_identity_document_names_instance_region_and_account(imds: ImdsServer) -> None:
    document = json.loads(get(imds, "dynamic/instance-identity/document")[1])
    assert (document["instanceId"], document["region"], document["accountId"]) == (
        "i-0123456789abcdef0",
        "me-central-1",
        "123456789012",
    )


def test_an_interruption_is_announced_with_its_time(imds: ImdsServer) -> None:
    imds.interrupt(START + timedelta(minutes=2))
    status, body = get(imds, "meta-data/spot/instance-action")
    assert (status, json.loads(body)) == (200, {"action": "terminate", "time": "2026-02-27T14:02:00Z"})
    assert get(imds, "meta-data/spot/termination-time") == (200, "2026-02-27T14:02:00Z")


def test_a_stop_has_no_termination_time(imds: ImdsServer) -> None:
    imds.interrupt(START, SpotAction.STOP)
    assert json.loads(get(imds, "meta-data/spot/instance-action")[1])["action"] == "stop"
    assert get(imds, "meta-data/spot/termination-time")[0] == 404


def test_a_rebalance_is_recommended_and_withdrawn(imds: ImdsServer) -> None:
    imds.recommend_rebalance(START)
    body = get(imds, "meta-data/events/recommendations/rebalance")[1]
    assert json.loads(body) == {"noticeTime": "2026-02-27T14:00:00Z"}
    imds.withdraw_announcements()
    assert get(imds, "meta-data/events/recommendations/rebalance")[0] == 404


def test_the_target_lifecycle_state_follows_the_group(imds: ImdsServer) -> None:
    imds.set_target_lifecycle_state("Terminated")
    assert get(imds, "meta-data/autoscaling/target-lifecycle-state") == (200, "Terminated")
    imds.set_target_lifecycle_state(None)
    assert get(imds, "meta-data/autoscaling/target-lifecycle-state")[0] == 404


def test_a_revoked_role_gives_no_credentials(imds: ImdsServer) -> None:
    imds.revoke_role()
    assert get(imds, "meta-data/iam/security-credentials/")[0] == 404
    assert get(imds, f"meta-data/iam/security-credentials/{IDENTITY.role}")[0] == 404


def test_botocore_takes_the_roles_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    with ImdsServer(IDENTITY, listen_on_loopback()) as imds:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.endpoint_url)
        monkeypatch.setenv("AWS_EC2_METADATA_V1_DISABLED", "true")
        credentials = botocore.session.Session().get_credentials()
    assert credentials is not None
    assert credentials.method == "iam-role"
    assert credentials.get_frozen_credentials().access_key == "testing"
    assert credentials.get_frozen_credentials().token == "testing"


def test_a_closed_server_answers_no_more_and_frees_its_port() -> None:
    imds = ImdsServer(IDENTITY, listen_on_loopback())
    host, port = imds.endpoint_url.removeprefix("http://").rstrip("/").split(":")
    imds.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=scaled(1))
