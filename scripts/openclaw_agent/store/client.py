"""The one client of S3, and what the transfer engine takes from it, so that both go to the same place alike."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import NoCredentialsError

from openclaw_agent.errors import StoreError, UsageError
from openclaw_agent.store.errors import another_region

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Config, S3Credential

_REDIRECTS = frozenset({301, 302, 307})
# The transfer engine asks for keys again when the ones it holds have five minutes left, and botocore hands out none
# with less than ten minutes left where it can get others.
KEYS_GOOD_FOR = timedelta(minutes=10)
_SIGNATURES = frozenset({"s3v4", "v4"})


def s3_client(session: boto3.Session, *, attempts: int, stall_seconds: float) -> "S3Client":
    """A client that is told of a bucket in another region, and does not follow it there."""
    client = session.client(
        "s3",
        config=Config(
            connect_timeout=5,
            read_timeout=stall_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
        ),
    )

    def refuse_another_region(response: tuple[Any, dict[str, Any]] | None = None, **call: Any) -> None:
        parsed = response[1] if response else {}
        error, metadata = parsed.get("Error", {}), parsed.get("ResponseMetadata", {})
        region = metadata.get("HTTPHeaders", {}).get("x-amz-bucket-region") or error.get("Region") or ""
        status = metadata.get("HTTPStatusCode")
        if status in _REDIRECTS or (status == 400 and region not in ("", client.meta.region_name)):
            bucket = call["request_dict"]["context"].get("input_params", {}).get("Bucket", "")
            raise StoreError(another_region(bucket, region, client.meta.region_name))

    # boto3 would sign the request anew for that region, silently; the transfer engine would not.
    client.meta.events.register_first(
        "needs-retry.s3", refuse_another_region, unique_id="openclaw-refuse-another-region"
    )
    return client


def bucket_url(client: "S3Client", bucket: str) -> str:
    """Where the client sends requests for the bucket, whatever decides that: variables, profile, region, partition.

    Raises:
        UsageError: when it would sign them in a way that the transfer engine does not know.
    """
    version = getattr(client.meta.config, "signature_version", None)
    if version not in _SIGNATURES:
        raise UsageError(f"signature_version = {version!r} in the AWS configuration is not allowed: s3v4, or none.")
    before_sending, mine = "before-send.s3.HeadBucket", "openclaw-bucket-url"

    def tell(request: Any, **_call: Any) -> None:
        raise _NotSent(request.url)

    client.meta.events.register_first(before_sending, tell, unique_id=mine)
    try:
        client.head_bucket(Bucket=bucket)
    except _NotSent as told:
        return told.url.rstrip("/")
    finally:
        client.meta.events.unregister(before_sending, unique_id=mine)
    raise AssertionError("unreachable: the request is never sent")


class _NotSent(Exception):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


def certificate_authorities() -> str | None:
    """The path of the certificates that the AWS configuration trusts besides the system's, or None."""
    path: str | None = botocore.session.Session(include_builtin_handlers=False).get_config_variable("ca_bundle")
    return path


class CurrentKeys:
    """The session's keys for the transfer engine, which may keep them only for as long as they are good.

    Both the constructor and a call raise NoCredentialsError where there are none.
    """

    def __init__(self, session: boto3.Session) -> None:
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        self._credentials = credentials
        self.config: S3Config = {}

    def __call__(self) -> "S3Credential":
        """The keys of now, and until when they may be used."""
        keys = self._credentials.get_frozen_credentials()
        if keys.access_key is None or keys.secret_key is None:
            raise NoCredentialsError
        return {
            "access_key_id": keys.access_key,
            "secret_access_key": keys.secret_key,
            "token": keys.token,
            "expires_at": self._good_until(),
        }

    def _good_until(self) -> datetime | None:
        lasts_for = getattr(self._credentials, "refresh_needed", None)
        if lasts_for is None:
            return None
        # Botocore tells no time, and what it knows may be later than the truth: the keys of an instance's role count as
        # good for longer while the metadata service has no new ones. So they are asked for again and again.
        now = datetime.now(UTC)
        return now if lasts_for(KEYS_GOOD_FOR.total_seconds()) else now + KEYS_GOOD_FOR
