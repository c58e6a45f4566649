"""Answers, and those with which S3 refuses a request."""

from collections.abc import Sequence
from dataclasses import dataclass

from lab.faults.plan import Fault

# By fault: status, code and message.
ERRORS: dict[Fault, tuple[int, str, str]] = {
    Fault.INTERNAL_ERROR: (500, "InternalError", "We encountered an internal error. Please try again."),
    Fault.ERROR_IN_OK: (200, "InternalError", "We encountered an internal error. Please try again."),
    Fault.SLOW_DOWN: (503, "SlowDown", "Please reduce your request rate."),
    Fault.CLOCK_SKEW: (403, "RequestTimeTooSkewed", "The difference between the request time and ours is too large."),
    Fault.EXPIRED_TOKEN: (400, "ExpiredToken", "The provided token has expired."),
    Fault.ACCESS_DENIED: (403, "AccessDenied", "Access Denied"),
    Fault.NO_SUCH_BUCKET: (404, "NoSuchBucket", "The specified bucket does not exist"),
    Fault.PRECONDITION_FAILED: (412, "PreconditionFailed", "At least one of the pre-conditions did not hold"),
    Fault.WRITE_UNDER_WAY: (409, "ConditionalRequestConflict", "A conflicting conditional operation is under way"),
    Fault.MALFORMED_XML: (400, "MalformedXML", "The XML you provided was not well-formed"),
    Fault.OTHER_REGION: (301, "PermanentRedirect", "The bucket must be addressed using the specified endpoint."),
    Fault.OTHER_REGION_SIGNED: (400, "AuthorizationHeaderMalformed", "The region 'us-east-1' is wrong"),
}

# What S3 says besides; a HEAD has nothing else.
OTHER_REGION = "eu-north-1"
_HEADERS: dict[Fault, list[tuple[str, str]]] = {
    Fault.OTHER_REGION: [("x-amz-bucket-region", OTHER_REGION)],
    Fault.OTHER_REGION_SIGNED: [("x-amz-bucket-region", OTHER_REGION)],
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a server."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def error_answer(fault: Fault) -> Answer:
    """What S3 answers in place of one of `ERRORS`."""
    return refusal(*ERRORS[fault], _HEADERS.get(fault, ()))


def refusal(status: int, code: str, message: str, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """An error in S3's own words."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Answer(status, [("Content-Type", "application/xml"), *headers], body.encode())
