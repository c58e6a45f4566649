"""A front before the embedded AWS that is as strict as S3, and stands where S3 does: no endpoint is set.

It is an HTTPS proxy (HTTPS_PROXY) that ends TLS for AWS's own names by a certificate of its own (AWS_CA_BUNDLE). Of
every request it checks the signature, the region, the body against each promise made about it, the key and the XML;
what passes goes on to the embedded AWS. What it refused is kept in `refusals`.
"""

import base64
import datetime as dt
import hashlib
import hmac
import http.client
import re
import ssl
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit
from xml.etree import ElementTree

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.host.deadline import scaled

SECRETS = {"testing": "testing"}
HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:\.(?P<region>[a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/s3/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[^,]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
# Other regions have names here too: what is asked of them is refused, as by S3.
ELSEWHERE = ("eu-west-1", "us-east-1")
MOST_KEY_BYTES, MOST_DELETED_KEYS, MOST_PARTS = 1024, 1000, 10_000
SKEW = dt.timedelta(minutes=15)
CHUNKED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "content-md5": lambda body: hashlib.md5(body).digest(),
}
NOT_PASSED_ON = frozenset({"connection", "transfer-encoding", "content-length", "content-encoding", "expect", "host"})


class RefusedRequest(Exception):
    """S3 would not take it: status, code, and what is wrong."""

    def __init__(self, status: int, code: str, what: str) -> None:
        super().__init__(what)
        self.status, self.code, self.what = status, code, what


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read and addressed."""

    method: str
    path: str
    query: str
    bucket: str
    key: str
    headers: Message
    body: bytes

    def header(self, name: str) -> str:
        return str(self.headers.get(name, ""))


class StrictS3(ThreadingHTTPServer):
    """The front; every bucket lies in `region`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, target: str, region: str, folder: Path) -> None:
        self.target, self.region = urlsplit(target), region
        self.refusals: list[str] = []
        self.passed: Counter[str] = Counter()
        self.authority, self.context = _certificates(folder, region)
        super().__init__(("127.0.0.1", 0), _Door)

    @property
    def environment(self) -> dict[str, str]:
        """What leads an AWS SDK here."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.server_address[1]}",
            "AWS_CA_BUNDLE": str(self.authority),
        }

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that ends its connection is no news."""

    def answer(self, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
        """Check, and ask the embedded AWS."""
        body = _checked(asked, self.region)
        self.passed[f"{asked.method} {_kind(asked)}"] += 1
        connection = http.client.HTTPConnection(str(self.target.hostname), self.target.port, timeout=scaled(60))
        try:
            path = f"/{asked.bucket}{asked.path if asked.path.startswith('/') else '/' + asked.path}"
            headers = {name: value for name, value in asked.headers.items() if name.lower() not in NOT_PASSED_ON}
            headers.pop("x-amz-trailer", None)
            if asked.header("x-amz-content-sha256") == CHUNKED:
                headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
            connection.request(asked.method, f"{path}?{asked.query}" if asked.query else path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()


@contextmanager
def strict_s3(target: str, region: str, folder: Path) -> Iterator[StrictS3]:
    """The front before the server at the URL `target`; `folder` takes its certificates."""
    with StrictS3(target, region, folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


class _Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StrictS3
    name = ""

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""

    def do_CONNECT(self) -> None:
        self.name = self.path.partition(":")[0]
        self.send_response_only(200)
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        # A client may ask for the tunnel in HTTP/1.0, which has none.
        self.close_connection = False

    def handle_expect_100(self) -> bool:
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def _ask(self) -> None:
        try:
            asked = self._asked()
            status, headers, body = self.server.answer(asked)
        except RefusedRequest as refused:
            self.server.refusals.append(f"{self.command} {self.path}: {refused.code}: {refused.what}")
            status, headers = refused.status, [("x-amz-bucket-region", self.server.region)]
            region = f"<Region>{self.server.region}</Region>"
            body = f"<Error><Code>{refused.code}</Code><Message>{refused.what}</Message>{region}</Error>".encode()
        self.send_response_only(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length if self.command == "HEAD" or body else "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _ask

    def _asked(self) -> Asked:
        body = self._body()
        place = HOST.fullmatch(self.name)
        if place is None or self.header("Host") != self.name:
            raise RefusedRequest(400, "InvalidHost", f"{self.name} is no name of S3")
        if place["region"] not in (None, self.server.region):
            raise RefusedRequest(301, "PermanentRedirect", "the bucket is addressed in another region")
        address = urlsplit(self.path)
        path, bucket = address.path, place["bucket"]
        if bucket is None:
            bucket, _, rest = path.lstrip("/").partition("/")
            path = f"/{rest}"
        try:
            key = unquote_to_bytes(path[1:]).decode()
        except UnicodeDecodeError:
            raise RefusedRequest(400, "InvalidURI", "the key is no UTF-8") from None
        return Asked(self.command, path, address.query, bucket, key, self.headers, body)

    def header(self, name: str) -> str:
        return str(self.headers.get(name, ""))

    def _body(self) -> bytes:
        if self.header("Transfer-Encoding").lower() != "chunked":
            return self.rfile.read(int(self.header("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)


def _kind(asked: Asked) -> str:
    names = sorted(name for name, _ in parse_qsl(asked.query, keep_blank_values=True))
    return "copy" if asked.header("x-amz-copy-source") else " ".join(names) or ("object" if asked.key else "bucket")


def _checked(asked: Asked, region: str) -> bytes:
    """The body as it is meant; raises where S3 would not take the request."""
    _check_signature(asked, region)
    if len(asked.key.encode()) > MOST_KEY_BYTES:
        raise RefusedRequest(400, "KeyTooLongError", f"{len(asked.key.encode())} bytes")
    body, promised = _decoded(asked)
    digest = asked.header("x-amz-content-sha256")
    if digest not in (CHUNKED, "UNSIGNED-PAYLOAD") and digest != hashlib.sha256(body).hexdigest():
        raise RefusedRequest(400, "XAmzContentSHA256Mismatch", "the body is another")
    for name, make in DIGESTS.items():
        value = promised.get(name) or asked.header(name)
        if value and value != base64.b64encode(make(body)).decode():
            raise RefusedRequest(400, "BadDigest", name)
    query = dict(parse_qsl(asked.query, keep_blank_values=True))
    if "delete" in query:
        _check_deletions(asked, body)
    if int(query.get("partNumber", 1)) > MOST_PARTS:
        raise RefusedRequest(400, "InvalidArgument", "partNumber")
    source = asked.header("x-amz-copy-source")
    if source and not source.isascii():
        raise RefusedRequest(400, "InvalidArgument", "x-amz-copy-source is not URL-encoded")
    if asked.method == "PUT" and not source and not body and "uploadId" in query:
        raise RefusedRequest(400, "IncompleteBody", "an empty part")
    return body


def _check_signature(asked: Asked, region: str) -> None:
    made = AUTHORIZATION.fullmatch(asked.header("Authorization"))
    if made is None:
        raise RefusedRequest(403, "AccessDenied", "it is not signed")
    if made["key"] not in SECRETS:
        raise RefusedRequest(403, "InvalidAccessKeyId", made["key"])
    if made["region"] != region:
        raise RefusedRequest(400, "AuthorizationHeaderMalformed", f"the region {made['region']!r} is wrong")
    signed = made["signed"].split(";")
    unsigned = [name for name in asked.headers if name.lower().startswith("x-amz-") and name.lower() not in signed]
    if unsigned or "host" not in signed or signed != sorted(signed):
        raise RefusedRequest(403, "AccessDenied", f"headers that are not signed: {unsigned}")
    date = asked.header("x-amz-date")
    at = dt.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    if abs(dt.datetime.now(dt.UTC) - at) > SKEW or date[:8] != made["day"]:
        raise RefusedRequest(403, "RequestTimeTooSkewed", date)
    pairs = parse_qsl(asked.query, keep_blank_values=True, errors="surrogateescape")
    arguments = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    path = asked.path if asked.header("Host").startswith(f"{asked.bucket}.") else f"/{asked.bucket}{asked.path}"
    canonical = "\n".join(
        (
            asked.method,
            quote(unquote_to_bytes(path), safe="/-_.~"),
            "&".join(f"{name}={value}" for name, value in arguments),
            "".join(f"{name}:{' '.join(asked.header(name).split())}\n" for name in signed),
            made["signed"],
            asked.header("x-amz-content-sha256"),
        )
    )
    scope = f"{made['day']}/{region}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{SECRETS[made['key']]}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    if hmac.digest(key, to_sign.encode(), "sha256").hex() != made["signature"]:
        raise RefusedRequest(403, "SignatureDoesNotMatch", canonical)


def _decoded(asked: Asked) -> tuple[bytes, dict[str, str]]:
    """The body without the chunks of `aws-chunked`, and the checksums of its trailer."""
    if asked.header("x-amz-content-sha256") != CHUNKED:
        return asked.body, {}
    rest, pieces = asked.body, []
    while True:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            break
        if rest[size : size + 2] != b"\r\n":
            raise RefusedRequest(400, "IncompleteBody", "a chunk is not as long as it says")
        pieces.append(rest[:size])
        rest = rest[size + 2 :]
    trailer = dict(line.split(":", 1) for line in rest.decode().split("\r\n") if line)
    if list(trailer) != [asked.header("x-amz-trailer")]:
        raise RefusedRequest(400, "MalformedTrailerError", str(trailer))
    body = b"".join(pieces)
    if int(asked.header("x-amz-decoded-content-length")) != len(body):
        raise RefusedRequest(400, "IncompleteBody", "x-amz-decoded-content-length")
    return body, trailer


def _check_deletions(asked: Asked, body: bytes) -> None:
    if not any(asked.header(name) for name in DIGESTS):
        raise RefusedRequest(400, "InvalidRequest", "a batch of deletions without a checksum")
    try:
        found = ElementTree.fromstring(body)
    except ElementTree.ParseError as problem:
        raise RefusedRequest(400, "MalformedXML", str(problem)) from None
    count = sum(1 for element in found.iter() if element.tag.endswith("Object"))
    if not 1 <= count <= MOST_DELETED_KEYS:
        raise RefusedRequest(400, "MalformedXML", f"{count} keys")


def _certificates(folder: Path, region: str) -> tuple[Path, ssl.SSLContext]:
    """The authority's certificate in a file, and a context with one by it for S3's names."""
    now = dt.datetime.now(dt.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("strict-s3-authority", "s3")]
    places = [f"s3{part}.amazonaws.com" for part in ("", *(f".{name}" for name in sorted({region, *ELSEWHERE})))]
    served = x509.SubjectAlternativeName([x509.DNSName(f"{star}{p}") for p in places for star in ("", "*.")])
    made = []
    for number, extension in enumerate((x509.BasicConstraints(ca=True, path_length=0), served)):
        builder = x509.CertificateBuilder().issuer_name(names[0]).subject_name(names[number])
        builder = builder.public_key(keys[number].public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        made.append(builder.add_extension(extension, critical=number == 0).sign(keys[0], hashes.SHA256()))
    authority, served_file = folder / "authority.pem", folder / "served.pem"
    pem = serialization.Encoding.PEM
    authority.write_bytes(made[0].public_bytes(pem))
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    served_file.write_bytes(made[1].public_bytes(pem) + keys[1].private_bytes(pem, *plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served_file)
    return authority, context
