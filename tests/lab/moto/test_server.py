"""The embedded server: its life, and the gaps of moto that it closes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.moto.errors import ServerFailed
from lab.moto.seeding import SEED_PATH
from lab.moto.server import EmbeddedAws

pytestmark = pytest.mark.subprocess

TLS_ONLY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": ["arn:aws:s3:::vault", "arn:aws:s3:::vault/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}


def error_code(call: Any, **request: Any) -> str:
    try:
        call(**request)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "none"


def test_server_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        f"import os, sys, time; sys.path.append({str(Path(__file__).resolve().parents[3])!r})\n"
        "from lab.moto.server import EmbeddedAws\n"
        "aws = EmbeddedAws()\n"
        "print(open(f'/proc/self/task/{os.getpid()}/children').read().split()[0], flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-P", str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    server = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{server}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.02)
    else:
        assert not Path(f"/proc/{server}").exists()


def test_address_that_cannot_be_bound_is_one_sentence() -> None:
    with pytest.raises(ServerFailed, match=r"did not start on 203\.0\.113\.7"):
        EmbeddedAws(host="203.0.113.7")


SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20261125/us-east-1/s3/aws4_request, Signature=unread"}


def asked(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes]:
    connection.request(method, path, body, SIGNED | headers, encode_chunked=True)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_a_connection_carries_one_request_after_the_other_whatever_was_read_of_each(aws: EmbeddedAws) -> None:
    aws.client("s3").create_bucket(Bucket="kept-open")
    pieces = [b"in ", b"pieces"]
    with contextlib.closing(http.client.HTTPConnection(aws.host, aws.port)) as connection:
        assert asked(connection, "PUT", "/kept-open/key", body=b"content")[0] == 200
        first = connection.sock
        # It is refused by its bucket's name alone: nobody looks at the body.
        assert asked(connection, "PUT", "/not-there/key", body=b"x" * 300_000)[0] == 404
        assert asked(connection, "PUT", "/kept-open/pieces", body=iter(pieces))[0] == 200
        assert asked(connection, "HEAD", "/kept-open/key") == (200, b"")
        assert asked(connection, "GET", "/kept-open/key") == (200, b"content")
        assert asked(connection, "GET", "/kept-open/pieces") == (200, b"in pieces")
        assert asked(connection, "DELETE", "/kept-open/key") == (204, b"")
        assert connection.sock is first
        assert asked(connection, "GET", "/kept-open/pieces", Connection="close")[0] == 200
        assert connection.sock is None


def test_what_breaks_inside_the_server_is_its_error_and_the_connection_goes_on(aws: EmbeddedAws) -> None:
    with contextlib.closing(http.client.HTTPConnection(aws.host, aws.port)) as connection:
        assert asked(connection, "POST", SEED_PATH, body=b"no JSON", Accept="text/xml")[0] == 500
        assert asked(connection, "GET", "/not-there/key")[0] == 404


def test_nothing_of_the_users_aws_configuration_is_used(monkeypatch: pytest.MonkeyPatch, aws: EmbeddedAws) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("AWS_PROFILE")
        assert aws.client("sts").get_caller_identity()["Account"] == aws.account_id
    assert aws.environment["AWS_ENDPOINT_URL"] == aws.endpoint_url
    assert "AWS_ENDPOINT_URL" not in os.environ


def test_reset_forgets_everything(aws: EmbeddedAws, s3: Any) -> None:
    s3.create_bucket(Bucket="vault")
    aws.reset()
    assert s3.list_buckets()["Buckets"] == []


def test_tls_only_policy_can_be_put_and_read_and_does_not_block_the_lab(s3: Any) -> None:
    s3.create_bucket(Bucket="vault")
    s3.put_bucket_policy(Bucket="vault", Policy=json.dumps(TLS_ONLY))
    s3.put_object(Bucket="vault", Key="a", Body=b"1")
    assert s3.get_object(Bucket="vault", Key="a")["Body"].read() == b"1"
    assert s3.delete_objects(Bucket="vault", Delete={"Objects": [{"Key": "a"}]}).get("Errors") is None
    assert json.loads(s3.get_bucket_policy(Bucket="vault")["Policy"]) == TLS_ONLY


def test_unconditional_deny_still_denies(s3: Any) -> None:
    s3.create_bucket(Bucket="vault")
    policy = json.loads(json.dumps(TLS_ONLY))
    del policy["Statement"][0]["Condition"]
    s3.put_bucket_policy(Bucket="vault", Policy=json.dumps(policy))
    assert error_code(s3.put_object, Bucket="vault", Key="a", Body=b"1") in ("AccessDenied", "403")


def test_conditional_writes(s3: Any) -> None:
    s3.create_bucket(Bucket="vault")
    first = s3.put_object(Bucket="vault", Key="owner", Body=b"1", IfNoneMatch="*")["ETag"]
    assert error_code(s3.put_object, Bucket="vault", Key="owner", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"
    s3.put_object(Bucket="vault", Key="owner", Body=b"2", IfMatch=first)
    assert error_code(s3.put_object, Bucket="vault", Key="owner", Body=b"3", IfMatch=first) == "PreconditionFailed"
    assert error_code(s3.put_object, Bucket="vault", Key="gone", Body=b"3", IfMatch=first) == "NoSuchKey"


def test_exactly_one_of_many_racers_wins_a_conditional_write(s3: Any) -> None:
    s3.create_bucket(Bucket="vault")
    won: list[int] = []

    def race(number: int) -> None:
        if error_code(s3.put_object, Bucket="vault", Key="owner", Body=str(number).encode(), IfNoneMatch="*") == "none":
            won.append(number)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(16)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert len(won) == 1
    assert s3.get_object(Bucket="vault", Key="owner")["Body"].read() == str(won[0]).encode()


@pytest.mark.parametrize(("count", "code"), [(1000, "none"), (1001, "MalformedXML")], ids=["at-limit", "over-limit"])
def test_delete_objects_takes_a_thousand_keys(s3: Any, count: int, code: str) -> None:
    s3.create_bucket(Bucket="vault")
    objects = [{"Key": str(number)} for number in range(count)]
    assert error_code(s3.delete_objects, Bucket="vault", Delete={"Objects": objects}) == code


def test_many_objects_are_put_at_once_and_are_like_any_other(aws: EmbeddedAws, s3: Any) -> None:
    s3.create_bucket(Bucket="seeded")
    aws.seed("seeded", {f"a/{number}": "é" for number in range(1001)})
    assert s3.list_objects_v2(Bucket="seeded")["IsTruncated"]
    assert s3.get_object(Bucket="seeded", Key="a/1000")["Body"].read() == "é".encode()
    assert (
        s3.head_object(Bucket="seeded", Key="a/1")["ETag"] == s3.put_object(Bucket="seeded", Key="b", Body="é")["ETag"]
    )
