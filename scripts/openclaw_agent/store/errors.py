"""What S3's and the network's errors mean for the user: one table from error to sentence."""

import re
from dataclasses import dataclass

from openclaw_agent.errors import CorruptObject, ObjectMissing, ObjectUnavailable, PreconditionFailed, StoreError
from openclaw_agent.streams import on_one_line

_XML_CODE = re.compile(r"<Code>([^<]+)</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_BROKEN_CONNECTION = ("error sending request", "operation timed out", "connection", "response body error")
_REDIRECT = "redirect without location"
_ENGINE_RETRIED = re.compile(r"after [1-9]\d* retries")
_PASSING = frozenset({"ConnectionError", "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"})


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """Error codes (S3's, botocore's exception names, or HTTP statuses) that share one meaning."""

    codes: frozenset[str]
    sentence: str
    error: type[StoreError] = StoreError


ERROR_ROWS: tuple[ErrorRow, ...] = (
    ErrorRow(
        frozenset({"NoSuchBucket"}),
        "The bucket {bucket!r} does not exist; check its name and region, or deploy the platform stack.",
    ),
    ErrorRow(
        frozenset({"AccessDenied", "AllAccessDisabled", "Forbidden", "403", "PermissionDeniedError"}),
        "Access to {target} was denied; check the role's policy and the bucket's policy.",
        ObjectUnavailable,
    ),
    ErrorRow(
        # Of a GET, and of a copy's source.
        frozenset({"InvalidObjectState", "ObjectNotInActiveTierError"}),
        "The object {target} is archived, as by a lifecycle rule to Glacier; aws s3api restore-object brings it back.",
        ObjectUnavailable,
    ),
    ErrorRow(
        frozenset({"KMS.DisabledException", "KMS.NotFoundException", "KMS.KMSInvalidStateException"}),
        "The object {target} cannot be decrypted ({code}); its key in KMS is disabled or gone.",
        ObjectUnavailable,
    ),
    ErrorRow(
        frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}),
        "The AWS credentials have expired; renew them (on the instance: check its role and the metadata service).",
    ),
    ErrorRow(
        frozenset({"InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "UnauthenticatedError", "401"}),
        "The AWS credentials were refused; check the key, the secret and the role.",
    ),
    ErrorRow(
        frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}),
        "No AWS credentials were found; log in, set AWS_PROFILE, or give the instance its role.",
    ),
    ErrorRow(
        frozenset({"RequestTimeTooSkewed"}),
        "S3 refused the request because this machine's clock is wrong; set the clock (chronyc makestep).",
    ),
    ErrorRow(
        frozenset({"SlowDown", "ServiceUnavailable", "InternalError", "500", "502", "503", "504", "RequestTimeout"}),
        "S3 kept answering with errors for {target} ({code}); nothing is lost, the next run tries again.",
    ),
    ErrorRow(
        frozenset(
            {
                "PermanentRedirect",
                "TemporaryRedirect",
                "AuthorizationHeaderMalformed",
                "IllegalLocationConstraintException",
                "301",
                "307",
            }
        ),
        "The bucket {bucket!r} is in another region; pass the right --region.",
    ),
    ErrorRow(
        frozenset({"ConditionalRequestConflict", "OperationAborted", "409"}),
        "S3 kept answering that another write of {target} is under way ({code}); nothing is lost, the next run tries "
        "again. If it goes on, look who else writes there.",
    ),
    ErrorRow(
        frozenset({"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}),
        "S3 received other bytes for {target} than were sent; the network or the disk corrupts what passes through.",
    ),
    ErrorRow(
        frozenset(
            {
                "EndpointConnectionError",
                "ConnectTimeoutError",
                "ReadTimeoutError",
                "ConnectionClosedError",
                "ConnectionError",
                "SSLError",
                "ResponseStreamingError",
                "IncompleteReadError",
                "HTTPClientError",
                "ProxyConnectionError",
            }
        ),
        "S3 cannot be reached for {target} ({code}); check the network; nothing is lost, the next run tries again.",
    ),
)


def store_error(problem: BaseException, bucket: str, key: str) -> StoreError:
    """The error to raise for what boto3, botocore or obstore raised about `key`."""
    code = error_code(problem)
    if code in ("NoSuchKey", "404", "NotFound", "FileNotFoundError", "NotFoundError"):
        return ObjectMissing(key)
    if code in ("PreconditionFailed", "412", "AlreadyExistsError", "PreconditionError"):
        return PreconditionFailed(f"Somebody else wrote {key!r} first.")
    target = address(bucket, key)
    if code == "FlexibleChecksumError":
        return CorruptObject(f"The object {target} is corrupt: it is not what its own checksum promises.")
    for row in ERROR_ROWS:
        if code in row.codes:
            return row.error(row.sentence.format(bucket=bucket, target=target, code=code))
    detail = " ".join(str(problem).split())[:200]
    return StoreError(f"S3 failed for {target} ({code}: {detail}); nothing is lost, the next run tries again.")


def address(bucket: str, key: str) -> str:
    """An object's address for a message; what no terminal should be sent is escaped."""
    return f"s3://{bucket}/{on_one_line(key)}"


def another_region(bucket: str, region: str, configured: str) -> str:
    """The sentence for a bucket that is not where it was looked for; `region` is "" where S3 did not tell."""
    where = f"in the region {region}" if region and region != configured else "somewhere else"
    right = f"pass --region {region}" if region and region != configured else "pass the right --region"
    return (
        f"The bucket {bucket!r} is {where}, and {configured} is configured: {right}, or write it into the settings "
        "file. Nothing was written."
    )


def error_code(problem: BaseException) -> str:
    """S3's error code if the error carries one, else the HTTP status, else the exception's name."""
    response = getattr(problem, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", ""))
        if code:
            return code
    text = str(problem)
    for expression in (_XML_CODE, _STATUS):
        found = expression.search(text)
        if found:
            return found.group(1)
    if _REDIRECT in text.lower():
        return "PermanentRedirect"
    if any(words in text.lower() for words in _BROKEN_CONNECTION):
        return "ConnectionError"
    return type(problem).__name__


def is_worth_another_try(problem: BaseException) -> bool:
    """Whether the transfer engine gave up at once on what may pass.

    It does so when an answer breaks off, when S3 received other bytes, and when a conditional write's connection ends.
    """
    return error_code(problem) in _PASSING and not _ENGINE_RETRIED.search(str(problem))
