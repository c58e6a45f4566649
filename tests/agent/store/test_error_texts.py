"""What obstore itself says when something goes wrong: the words from which store/errors.py reads a code.

Each is provoked for real, so that a new version's wording fails here and not in a run that no longer tries again.
"""

from collections.abc import Callable
from datetime import timedelta

import obstore
import pytest
from obstore.store import S3Store

from lab.faults.plan import Fault, Rule
from lab.faults.proxy import FaultProxy
from openclaw_agent.store.errors import error_code, is_worth_another_try
from tests.support.simulated_instance import FreshBucket

NOTHING_LISTENS = "http://127.0.0.1:1"
STALL_SECONDS = 1.5
READ_TIMEOUT_SECONDS = 0.5


def engine(url: str, bucket: str, *, retries: int = 0) -> S3Store:
    return S3Store(
        bucket,
        region="us-east-1",
        endpoint=url,
        access_key_id="testing",
        secret_access_key="testing",
        virtual_hosted_style_request=False,
        checksum_algorithm="SHA256",
        client_options={
            "allow_http": True,
            "connect_timeout": timedelta(seconds=5),
            "read_timeout": timedelta(seconds=READ_TIMEOUT_SECONDS),
        },
        retry_config={
            "max_retries": retries,
            "retry_timeout": timedelta(seconds=60),
            "backoff": {
                "init_backoff": timedelta(milliseconds=1),
                "max_backoff": timedelta(milliseconds=2),
                "base": 2,
            },
        },
    )


def get(store: S3Store) -> None:
    bytes(obstore.get(store, "there").bytes())


def head(store: S3Store) -> None:
    obstore.head(store, "there")


def put(store: S3Store) -> None:
    obstore.put(store, "new", b"text", use_multipart=False)


def create(store: S3Store) -> None:
    obstore.put(store, "new", b"text", mode="create", use_multipart=False)


def copy(store: S3Store) -> None:
    obstore.copy(store, "there", "copied")


def get_missing(store: S3Store) -> None:
    obstore.get(store, "missing")


def head_missing(store: S3Store) -> None:
    obstore.head(store, "missing")


def copy_missing(store: S3Store) -> None:
    obstore.copy(store, "missing", "copied")


def create_again(store: S3Store) -> None:
    obstore.put(store, "there", b"text", mode="create", use_multipart=False)


Request = Callable[[S3Store], None]


def failure(request: Request, store: S3Store) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what the tests are about
        request(store)
    return caught.value


@pytest.fixture
def bucket(world: FreshBucket) -> str:
    world.put("there", "x" * 300_000)
    return world.bucket


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (get_missing, "NoSuchKey"),
        # An answer without a body has but its status.
        (head_missing, "404"),
        (copy_missing, "NoSuchKey"),
        (create_again, "PreconditionFailed"),
    ],
)
def test_the_code_of_an_answer_is_in_the_text(world: FreshBucket, bucket: str, request_of: Request, code: str) -> None:
    problem = failure(request_of, engine(world.aws.endpoint_url, bucket))
    assert (error_code(problem), is_worth_another_try(problem)) == (code, False)


def test_a_missing_bucket_is_not_taken_for_a_missing_object(world: FreshBucket) -> None:
    assert error_code(failure(get, engine(world.aws.endpoint_url, "no-such-bucket"))) == "NoSuchBucket"


@pytest.mark.parametrize("retries", [0, 2])
@pytest.mark.parametrize(
    ("fault", "request_of", "code"),
    [
        (Fault.INTERNAL_ERROR, get, "InternalError"),
        (Fault.SLOW_DOWN, put, "SlowDown"),
        (Fault.SLOW_DOWN, head, "503"),
        (Fault.ERROR_IN_OK, copy, "InternalError"),
        (Fault.CLOCK_SKEW, get, "RequestTimeTooSkewed"),
        (Fault.EXPIRED_TOKEN, put, "ExpiredToken"),
        (Fault.ACCESS_DENIED, copy, "AccessDenied"),
        (Fault.ACCESS_DENIED, head, "403"),
        (Fault.NO_SUCH_BUCKET, put, "NoSuchBucket"),
    ],
)
def test_what_s3_refuses_is_known_by_its_code(
    proxy: FaultProxy, bucket: str, fault: Fault, request_of: Request, code: str, retries: int
) -> None:
    proxy.begin(Rule(fault))
    problem = failure(request_of, engine(proxy.endpoint_url, bucket, retries=retries))
    assert (error_code(problem), is_worth_another_try(problem)) == (code, False)


@pytest.mark.parametrize(("retries", "again"), [(0, True), (2, False)])
def test_a_closed_port_is_a_broken_connection_and_the_engines_own_retries_are_seen(retries: int, again: bool) -> None:
    problem = failure(get, engine(NOTHING_LISTENS, "bucket", retries=retries))
    assert "error sending request" in str(problem).lower()
    assert (error_code(problem), is_worth_another_try(problem)) == ("ConnectionError", again)
    assert (f"after {retries} retries" in str(problem)) is not again


@pytest.mark.parametrize(
    ("fault", "request_of", "words"),
    [
        (Fault.RESET_BEFORE, create, "error sending request"),
        (Fault.RESET_AFTER, create, "error sending request"),
        (Fault.STALL, create, "error sending request"),
        (Fault.RESET_MID_BODY, copy, "response body error"),
        (Fault.TRUNCATED_ANSWER, copy, "response body error"),
        (Fault.STALL_MID_BODY, get, "response body error"),
        (Fault.STALL_MID_BODY, copy, "response body error"),
    ],
)
def test_a_connection_that_ends_where_the_engine_gives_up_at_once_is_worth_another_try(
    proxy: FaultProxy, bucket: str, fault: Fault, request_of: Request, words: str
) -> None:
    proxy.begin(Rule(fault, seconds=STALL_SECONDS))
    problem = failure(request_of, engine(proxy.endpoint_url, bucket))
    assert words in str(problem).lower()
    assert (error_code(problem), is_worth_another_try(problem)) == ("ConnectionError", True)


def test_other_bytes_than_were_sent_are_worth_another_try(proxy: FaultProxy, bucket: str) -> None:
    proxy.begin(Rule(Fault.CORRUPTED_REQUEST))
    problem = failure(put, engine(proxy.endpoint_url, bucket, retries=2))
    assert error_code(problem) in {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch"}
    assert is_worth_another_try(problem)
