"""The lying network itself: each fault does what its name says, to the requests that the plan names, and is logged."""

import http.client
import socket
import socketserver
import threading
import time
from urllib.parse import urlsplit

import pytest

from lab.faults.plan import Fault, Operation, Rule, Seen, seen_from
from lab.faults.proxy import FaultProxy, Moment
from lab.host.deadline import scaled
from lab.moto.server import EmbeddedAws
from tests.support.bucket_image import BucketKeeper

BODY = b"the object's content"
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260302/us-east-1/s3/aws4_request, Signature=0"}


class Client:
    """One plain HTTP connection for each request."""

    def __init__(self, proxy: FaultProxy, bucket: str) -> None:
        address = urlsplit(proxy.endpoint_url)
        self._address = (str(address.hostname), int(address.port or 0))
        self._bucket = bucket

    def ask(self, method: str, key: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self._address, timeout=scaled(5))
        try:
            connection.request(method, f"/{self._bucket}/{key}", body or None, SIGNED | headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


@pytest.fixture
def client(proxy: FaultProxy, keeper: BucketKeeper) -> Client:
    keeper.put("object", BODY)
    return Client(proxy, keeper.bucket)


def test_without_a_rule_everything_passes_and_is_counted(proxy: FaultProxy, client: Client) -> None:
    assert client.ask("PUT", "new", b"fresh")[0] == 200
    assert client.ask("GET", "new") == (200, b"fresh")
    assert client.ask("HEAD", "new") == (200, b"")
    assert client.ask("GET", "absent")[0] == 404
    assert proxy.wait_until_idle()
    assert proxy.counts() == {"PUT": 1, "GET": 2, "HEAD": 1}
    assert [row.seen.number for row in proxy.log] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.INTERNAL_ERROR, 500, b"InternalError"),
        (Fault.SLOW_DOWN, 503, b"SlowDown"),
        (Fault.ERROR_IN_OK, 200, b"InternalError"),
        (Fault.CLOCK_SKEW, 403, b"RequestTimeTooSkewed"),
        (Fault.EXPIRED_TOKEN, 400, b"ExpiredToken"),
        (Fault.ACCESS_DENIED, 403, b"AccessDenied"),
        (Fault.NO_SUCH_BUCKET, 404, b"NoSuchBucket"),
        (Fault.PRECONDITION_FAILED, 412, b"PreconditionFailed"),
        (Fault.WRITE_UNDER_WAY, 409, b"ConditionalRequestConflict"),
        (Fault.MALFORMED_XML, 400, b"MalformedXML"),
        (Fault.OTHER_REGION, 301, b"PermanentRedirect"),
        (Fault.OTHER_REGION_SIGNED, 400, b"AuthorizationHeaderMalformed"),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Fault) else "",
)
def test_an_error_is_answered_as_s3_does(
    proxy: FaultProxy, client: Client, fault: Fault, status: int, code: bytes
) -> None:
    proxy.begin(Rule(fault, times=1))
    answered, body = client.ask("GET", "object")
    assert answered == status
    assert b"<Code>" + code + b"</Code>" in body
    assert client.ask("GET", "object") == (200, BODY)


def test_a_rule_strikes_what_it_names_and_only_as_often_as_it_says(proxy: FaultProxy, client: Client) -> None:
    proxy.begin(Rule(Fault.SLOW_DOWN, frozenset({Operation.GET}), r"^obj", skip=1, times=2))
    assert client.ask("PUT", "object", b"other")[0] == 200
    assert client.ask("GET", "absent")[0] == 404
    assert [client.ask("GET", "object")[0] for _ in range(4)] == [200, 503, 503, 200]
    assert proxy.wait_until_idle()
    assert [row.fault for row in proxy.log].count(Fault.SLOW_DOWN) == 2


def test_a_reset_before_leaves_the_server_alone_and_one_after_does_not(
    proxy: FaultProxy, client: Client, keeper: BucketKeeper
) -> None:
    proxy.begin(Rule(Fault.RESET_BEFORE, key="before"), Rule(Fault.RESET_AFTER, key="after"))
    for key in ("before", "after"):
        with pytest.raises(ConnectionError):
            client.ask("PUT", key, b"sent")
    assert proxy.wait_until_idle()
    assert keeper.etags().keys() == {"object", "after"}


def test_a_reset_in_the_middle_tears_the_body(proxy: FaultProxy, client: Client) -> None:
    proxy.begin(Rule(Fault.RESET_MID_BODY))
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        client.ask("GET", "object")


def test_a_truncated_answer_ends_early(proxy: FaultProxy, client: Client) -> None:
    proxy.begin(Rule(Fault.TRUNCATED_ANSWER))
    with pytest.raises(http.client.IncompleteRead) as torn:
        client.ask("GET", "object")
    assert torn.value.partial == BODY[: len(BODY) // 2]


def test_a_corrupted_answer_differs_in_one_bit(proxy: FaultProxy, client: Client) -> None:
    proxy.begin(Rule(Fault.CORRUPTED_ANSWER))
    _status, body = client.ask("GET", "object")
    differences = [one ^ other for one, other in zip(body, BODY, strict=True) if one != other]
    assert differences == [1]


def test_a_corrupted_request_is_refused_where_a_checksum_tells(
    proxy: FaultProxy, client: Client, keeper: BucketKeeper
) -> None:
    proxy.begin(Rule(Fault.CORRUPTED_REQUEST))
    status, answer = client.ask("PUT", "checked", b"sent", **{"x-amz-checksum-crc32": "AAAAAA=="})
    assert (status, b"BadDigest" in answer) == (400, True)
    assert client.ask("PUT", "unchecked", b"sent")[0] == 200
    assert "checked" not in keeper.etags()
    assert keeper.get("unchecked") == b"seot"


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.STALL_AFTER, Fault.STALL_MID_BODY], ids=lambda f: f.name.lower())
def test_a_stall_keeps_silent_and_then_ends(proxy: FaultProxy, client: Client, fault: Fault) -> None:
    proxy.begin(Rule(fault, seconds=0.2))
    began = time.monotonic()
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        client.ask("GET", "object")
    assert 0.2 <= time.monotonic() - began < 3


def test_a_slow_answer_comes_whole(proxy: FaultProxy, client: Client, keeper: BucketKeeper) -> None:
    body = bytes(range(256)) * 5
    keeper.put("large", body)
    proxy.begin(Rule(Fault.SLOW_ANSWER, seconds=0.3))
    began = time.monotonic()
    assert client.ask("GET", "large") == (200, body)
    assert time.monotonic() - began >= 0.29


def test_the_observer_is_told_of_every_moment_and_may_drop_the_connection(
    proxy: FaultProxy, client: Client, keeper: BucketKeeper
) -> None:
    moments: list[tuple[Moment, str]] = []

    def watch(moment: Moment, seen: Seen) -> bool:
        moments.append((moment, seen.key))
        return True

    proxy.begin(observer=watch)
    client.ask("GET", "object")
    assert proxy.wait_until_idle()
    assert moments == [(moment, "object") for moment in Moment]
    proxy.begin(observer=lambda moment, _seen: moment is not Moment.ARRIVED)
    with pytest.raises(ConnectionError):
        client.ask("PUT", "dropped", b"sent")
    assert "dropped" not in keeper.etags()


def test_chunked_bodies_arrive_whole(proxy: FaultProxy, client: Client, keeper: BucketKeeper) -> None:
    address = urlsplit(proxy.endpoint_url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=scaled(5)) as plain:
        head = f"PUT /{keeper.bucket}/chunked HTTP/1.1\r\nHost: s3\r\nTransfer-Encoding: chunked\r\n"
        plain.sendall(head.encode() + f"Authorization: {SIGNED['Authorization']}\r\n\r\n".encode())
        plain.sendall(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert plain.recv(64).startswith(b"HTTP/1.1 200")
    assert keeper.get("chunked") == b"abcde"


def test_stopping_ends_every_stall(aws_server: EmbeddedAws) -> None:
    with FaultProxy(aws_server.endpoint_url) as short_lived:
        short_lived.begin(Rule(Fault.STALL, seconds=60))
        address = urlsplit(short_lived.endpoint_url)
        plain = socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=scaled(5))
        plain.sendall(b"GET /bucket/key HTTP/1.1\r\nHost: s3\r\n\r\n")
        time.sleep(0.1)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    plain.close()


@pytest.mark.parametrize(
    ("method", "target", "copies", "operation", "key"),
    [
        ("GET", "/b/a%20b", False, Operation.GET, "a b"),
        ("GET", "/b?list-type=2&prefix=latest%2F", False, Operation.LIST, "latest/"),
        ("GET", "/b?list-type=2&prefix=", False, Operation.LIST, ""),
        ("PUT", "/b/k", False, Operation.PUT, "k"),
        ("PUT", "/b/k", True, Operation.COPY, "k"),
        ("POST", "/b?delete", False, Operation.DELETE, ""),
        ("POST", "/b/k?uploads=", False, Operation.MULTIPART, "k"),
        ("PUT", "/b/k?partNumber=1&uploadId=x", False, Operation.MULTIPART, "k"),
        ("POST", "/", False, Operation.OTHER, ""),
    ],
    ids=["get", "list", "list-all", "put", "copy", "delete", "multipart", "part", "no-s3"],
)
def test_requests_are_known_by_what_they_ask(
    method: str, target: str, copies: bool, operation: Operation, key: str
) -> None:
    seen = seen_from(1, method, target, copies=copies, length=0)
    assert (seen.operation, seen.key) == (operation, key)


@pytest.mark.parametrize("length", [1, 8 * 1024 * 1024], ids=["small body", "large body"])
def test_an_answer_that_comes_before_the_body_was_read_reaches_the_client(length: int) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"

    class AnswersAtOnce(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)

    with (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), AnswersAtOnce) as server,
        FaultProxy(f"http://127.0.0.1:{server.server_address[1]}") as proxy,
    ):
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for _ in range(5):
            assert Client(proxy, "bucket").ask("PUT", "key", bytes(length)) == (403, b"no")
        server.shutdown()
