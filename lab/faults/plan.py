"""Which requests go wrong, and how: rules matched against what arrives, counted, and nothing of the network."""

import re
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qsl, unquote, urlsplit

_SIGNED_BY = re.compile(r"Credential=([^/]+)/")


class Operation(StrEnum):
    """What a request asks of S3."""

    GET = "GET"
    HEAD = "HEAD"
    PUT = "PUT"
    COPY = "COPY"
    LIST = "LIST"
    DELETE = "DELETE"
    MULTIPART = "MULTIPART"
    OTHER = "OTHER"


class Fault(StrEnum):
    """One way in which a request goes wrong."""

    INTERNAL_ERROR = "500 InternalError, the server never sees the request"
    SLOW_DOWN = "503 SlowDown, the server never sees the request"
    ERROR_IN_OK = "200 whose body is the error, as CopyObject may answer; the server never sees the request"
    RESET_BEFORE = "connection reset, the server never sees the request"
    RESET_AFTER = "connection reset after the server has done the work"
    RESET_MID_BODY = "connection reset in the middle of the answer's body"
    TRUNCATED_ANSWER = "the answer's body ends early"
    CORRUPTED_ANSWER = "one byte of the answer's body is flipped"
    CORRUPTED_REQUEST = "one byte of the request's body is flipped; a checksum that no longer fits is refused, as by S3"
    STALL = "no answer for a while, then the connection ends; the server never sees the request"
    STALL_AFTER = "the server does the work, its answer never comes"
    SLOW_ANSWER = "the answer's body comes whole but in drops, so that it takes a while"
    STALL_MID_BODY = "the answer stops in the middle of its body for a while, then the connection ends"
    CLOCK_SKEW = "403 RequestTimeTooSkewed"
    EXPIRED_TOKEN = "400 ExpiredToken"  # noqa: S105 - S3's name for an error
    ACCESS_DENIED = "403 AccessDenied"
    NO_SUCH_BUCKET = "404 NoSuchBucket"
    PRECONDITION_FAILED = "412 PreconditionFailed, the server never sees the request"
    WRITE_UNDER_WAY = "409 ConditionalRequestConflict, the server never sees the request"
    MALFORMED_XML = "400 MalformedXML, the server never sees the request"
    OTHER_REGION = "301 PermanentRedirect that names the bucket's region"
    OTHER_REGION_SIGNED = "400 AuthorizationHeaderMalformed that names the bucket's region"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived; `number` counts from 1, `length` is that of its body in bytes.

    `signed_by` is the id of the key that signed it, "" where none did.
    """

    number: int
    operation: Operation
    method: str
    bucket: str
    key: str
    query: str
    length: int
    signed_by: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """Let matching requests suffer `fault`.

    `key` is a regular expression searched in the key (for a listing, in its prefix); no operations means all.
    The first `skip` matches pass untouched, then `times` suffer (None for all that follow). `seconds` is how long a
    stall or a slow answer lasts.
    """

    fault: Fault
    operations: frozenset[Operation] = frozenset()
    key: str = ""
    skip: int = 0
    times: int | None = None
    seconds: float = 5.0

    def matches(self, seen: Seen) -> bool:
        """Whether the rule is about this request."""
        return (not self.operations or seen.operation in self.operations) and bool(re.search(self.key, seen.key))


@dataclass(slots=True)
class Plan:
    """The rules in force; safe to ask from several threads."""

    rules: tuple[Rule, ...] = ()
    _matched: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def verdict(self, seen: Seen) -> Rule | None:
        """The first rule that strikes this request, or None."""
        with self._lock:
            for place, rule in enumerate(self.rules):
                if not rule.matches(seen):
                    continue
                before = self._matched.get(place, 0)
                self._matched[place] = before + 1
                if before >= rule.skip and (rule.times is None or before < rule.skip + rule.times):
                    return rule
        return None


def seen_from(number: int, method: str, target: str, *, copies: bool, length: int, authorization: str = "") -> Seen:
    """Read a path-style S3 request line; `copies` says whether it names a copy's source."""
    address = urlsplit(target)
    bucket, _, key = unquote(address.path.lstrip("/"), errors="surrogateescape").partition("/")
    query = dict(parse_qsl(address.query, keep_blank_values=True))
    if not key and "prefix" in query:
        key = query["prefix"]
    signed_by = _SIGNED_BY.search(authorization)
    return Seen(
        number,
        _operation(method, query, copies=copies),
        method,
        bucket,
        key,
        address.query,
        length,
        signed_by[1] if signed_by else "",
    )


def _operation(method: str, query: dict[str, str], *, copies: bool) -> Operation:
    if "uploads" in query or "uploadId" in query:
        return Operation.MULTIPART
    if "delete" in query or method == "DELETE":
        return Operation.DELETE
    if "list-type" in query:
        return Operation.LIST
    if method == "PUT":
        return Operation.COPY if copies else Operation.PUT
    return Operation(method) if method in ("GET", "HEAD") else Operation.OTHER
