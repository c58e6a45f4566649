import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    FlexibleChecksumError,
    NoCredentialsError,
    ReadTimeoutError,
)
from obstore.exceptions import GenericError, NotFoundError, PermissionDeniedError

from openclaw_agent.errors import CorruptObject, ObjectMissing, PreconditionFailed, StoreError
from openclaw_agent.exit_codes import ExitCode
from openclaw_agent.store.errors import ERROR_ROWS, error_code, store_error


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "GetObject")


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (client_error("NoSuchBucket"), "The bucket 'b' does not exist"),
        (client_error("AccessDenied"), "Access to s3://b/k was denied"),
        (client_error("403"), "Access to s3://b/k was denied"),
        (PermissionDeniedError("the request was refused"), "Access to s3://b/k was denied"),
        (client_error("ExpiredToken"), "The AWS credentials have expired"),
        (client_error("InvalidAccessKeyId"), "The AWS credentials were refused"),
        (NoCredentialsError(), "No AWS credentials were found"),
        (client_error("RequestTimeTooSkewed"), "clock is wrong"),
        (client_error("SlowDown"), r"kept answering with errors for s3://b/k \(SlowDown\)"),
        (client_error("500"), "kept answering with errors"),
        (client_error("PermanentRedirect"), "The bucket 'b' is in another region"),
        (client_error("BadDigest"), "received other bytes for s3://b/k"),
        (EndpointConnectionError(endpoint_url="http://x"), "cannot be reached for s3://b/k"),
        (ReadTimeoutError(endpoint_url="http://x"), "cannot be reached"),
        (GenericError("error sending request for url"), "cannot be reached"),
        (GenericError("... <Code>SlowDown</Code> ..."), r"kept answering with errors for s3://b/k \(SlowDown\)"),
        (GenericError("response: status code: 503"), r"kept answering with errors for s3://b/k \(503\)"),
        (
            ClientError({"Error": {}}, "GetObject"),
            r"S3 failed for s3://b/k \(ClientError: An error occurred \(Unknown\)",
        ),
        (ValueError("something\n  else"), r"S3 failed for s3://b/k \(ValueError: something else\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_sentence_for_an_error(problem: Exception, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        raise store_error(problem, "b", "k")
    assert caught.value.exit_code is ExitCode.FAILED


@pytest.mark.parametrize(
    "problem",
    [client_error("NoSuchKey"), client_error("404"), NotFoundError("no such object"), FileNotFoundError("gone")],
    ids=lambda problem: type(problem).__name__,
)
def test_a_missing_object_is_known_by_its_key(problem: Exception) -> None:
    missing = store_error(problem, "b", "k")
    assert isinstance(missing, ObjectMissing)
    assert missing.key == "k"


def test_a_body_that_is_not_what_its_checksum_promises_is_corrupt() -> None:
    problem = FlexibleChecksumError(error_msg="Expected checksum a did not match calculated checksum: b")
    assert isinstance(store_error(problem, "b", "k"), CorruptObject)


@pytest.mark.parametrize("code", ["PreconditionFailed", "412"])
def test_a_lost_race_is_known(code: str) -> None:
    assert isinstance(store_error(client_error(code), "b", "k"), PreconditionFailed)


def test_no_code_has_two_meanings() -> None:
    codes = [code for row in ERROR_ROWS for code in row.codes]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("code", sorted(code for row in ERROR_ROWS for code in row.codes))
def test_every_code_of_the_table_gets_its_rows_sentence(code: str) -> None:
    row = next(row for row in ERROR_ROWS if code in row.codes)
    expected = row.sentence.format(bucket="b", target="s3://b/k", code=code)
    assert str(store_error(client_error(code), "b", "k")) == expected


def test_an_unknown_error_carries_at_most_200_characters_of_its_own_text() -> None:
    assert len(str(store_error(ValueError("x" * 5000), "b", "k"))) < 350
    assert error_code(ValueError("x")) == "ValueError"
