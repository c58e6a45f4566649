"""One region of the user's account, through the credentials of the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import botocore.exceptions as aws_errors
from botocore.config import Config
from botocore.parsers import ResponseParserError

from operator_tools.account.errors import AccountError, WrongRegion
from operator_tools.account.regions import check_region

CLIENT_SETTINGS = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})

SERVICES = {
    "ec2": "EC2",
    "autoscaling": "EC2 Auto Scaling",
    "cloudwatch": "CloudWatch",
    "s3": "S3",
    "sts": "STS",
    "ssm": "Systems Manager",
    "logs": "CloudWatch Logs",
    "service-quotas": "Service Quotas",
    "iam": "IAM",
}
"""How sentences call the services that our commands ask."""

# AWS answers a region that the account has not enabled as it answers wrong keys (AuthFailure), so a region that is
# enabled everywhere is asked which of the two it is.
_ALWAYS_ENABLED_REGIONS = {"cn": "cn-north-1", "us-gov": "us-gov-west-1"}
_REFUSED_CREDENTIALS = {
    "AuthFailure",
    "InvalidClientTokenId",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_EXPIRED_CREDENTIALS = {"RequestExpired", "ExpiredToken", "ExpiredTokenException"}
_DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}


class Account:
    """A session in one region; it honours `AWS_ENDPOINT_URL`, `AWS_PROFILE` and the like.

    Args:
        region: the region's name; None or empty for the environment's own.

    Raises:
        WrongRegion: no region is given or configured, or there is none of that name.
        AccountError: the environment's configuration cannot be used.
    """

    def __init__(self, region: str | None) -> None:
        try:
            # boto3 itself reads AWS_DEFAULT_REGION alone; the other SDKs and the AWS CLI read AWS_REGION.
            self.session = boto3.session.Session(region_name=region or os.environ.get("AWS_REGION") or None)
            chosen = self.session.region_name
        except aws_errors.BotoCoreError as error:
            raise AccountError(_failure(error, "The session", "AWS")) from error
        if chosen is None:
            raise WrongRegion("No region was given; name one with REGION=… or --region, or set AWS_REGION.")
        self.region: str = chosen
        check_region(chosen, _known_regions(self.session))

    @contextmanager
    def told_in_a_sentence(self, service: str, action: str) -> Iterator[None]:
        """Turn whatever goes wrong while a service (a key of `SERVICES`) does an action into one sentence.

        Raises:
            AccountError: it did go wrong.
        """
        try:
            yield
        except aws_errors.ClientError as error:
            raise AccountError(self._refusal(error, service, action)) from error
        except (aws_errors.BotoCoreError, ResponseParserError) as error:
            raise AccountError(_failure(error, action, SERVICES[service])) from error
        except ValueError as error:
            # botocore refuses an endpoint that is no URL in this way.
            if "endpoint" not in str(error).lower():
                raise
            raise AccountError(
                f"{SERVICES[service]} cannot be asked: {_one_line(error)}; check AWS_ENDPOINT_URL."
            ) from error

    def _refusal(self, error: aws_errors.ClientError, service: str, action: str) -> str:
        code = error.response.get("Error", {}).get("Code", "no error code")
        message = _one_line(error.response.get("Error", {}).get("Message", ""))
        if code in _REFUSED_CREDENTIALS:
            if self._region_is_disabled():
                return (
                    f"The region {self.region} is not enabled in this account; "
                    f"enable it with: aws account enable-region --region-name {self.region}"
                )
            return (
                f"AWS does not accept these credentials in {self.region} ({code}); "
                "check them with: aws sts get-caller-identity"
            )
        if code in _EXPIRED_CREDENTIALS:
            return f"The AWS credentials have expired ({code}); renew them and run this again."
        if code in _DENIED:
            return f"These AWS credentials may not call {service}:{action} in {self.region} ({code})."
        return f"{SERVICES[service]} in {self.region} refused {action}: {code}: {message or 'no reason given'}."

    def _region_is_disabled(self) -> bool:
        prefixes = (home for prefix, home in _ALWAYS_ENABLED_REGIONS.items() if self.region.startswith(f"{prefix}-"))
        home = next(prefixes, "us-east-1")
        try:
            client = self.session.client("ec2", region_name=home, config=CLIENT_SETTINGS)
            answer = client.describe_regions(AllRegions=True, RegionNames=[self.region])
        except (aws_errors.ClientError, aws_errors.BotoCoreError):
            return False
        return any(region.get("OptInStatus") == "not-opted-in" for region in answer["Regions"])


def _known_regions(session: boto3.session.Session) -> set[str]:
    return {
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition)
    }


def _failure(error: Exception, action: str, service: str) -> str:
    for kinds, sentence in _SENTENCES:
        if isinstance(error, kinds):
            return sentence.format(error=_one_line(error), service=service)
    return f"{action} failed: {_one_line(error)}."


def _one_line(said: object) -> str:
    return " ".join(str(said).split())[:200].rstrip(".:")


_SENTENCES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (aws_errors.NoCredentialsError,),
        "There are no AWS credentials; run aws configure, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY.",
    ),
    ((aws_errors.PartialCredentialsError,), "The AWS credentials are incomplete: {error}."),
    ((aws_errors.ProfileNotFound,), "{error}; check AWS_PROFILE and ~/.aws/config."),
    (
        (aws_errors.SSOError, aws_errors.TokenRetrievalError, aws_errors.CredentialRetrievalError),
        "The AWS credentials could not be had: {error}; with single sign-on, run aws sso login.",
    ),
    (
        (aws_errors.ConnectionError, aws_errors.HTTPClientError),
        "{service} cannot be reached: {error}; check the network, the region and AWS_ENDPOINT_URL.",
    ),
    ((ResponseParserError,), "What answered is not {service}: {error}; check AWS_ENDPOINT_URL."),
)
