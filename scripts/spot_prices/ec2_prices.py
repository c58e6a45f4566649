"""The one place where spot prices touch AWS: what EC2 is asked, and what its failures mean in one sentence."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import boto3
import botocore.exceptions as aws_errors
from botocore.config import Config
from botocore.parsers import ResponseParserError

from spot_prices.offers import InstanceType
from spot_prices.price_errors import SpotPriceError, WrongRequest
from spot_prices.price_report import PRODUCT
from spot_prices.price_series import PriceChange, Window
from spot_prices.requested import check_offered, check_region

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

logger = logging.getLogger(__name__)

_CLIENT = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})

# EC2 answers a region that the account has not enabled as it answers wrong keys (AuthFailure), so a region that is
# enabled everywhere is asked which of the two it is.
_ALWAYS_ENABLED_REGIONS = {"cn": "cn-north-1", "us-gov": "us-gov-west-1"}
_REFUSED_CREDENTIALS = {"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "OptInRequired"}
_EXPIRED_CREDENTIALS = {"RequestExpired", "ExpiredToken", "ExpiredTokenException"}
_DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}


class Ec2Prices:
    """EC2's price history and instance types in one region, through the credentials of the environment."""

    def __init__(self, region: str | None) -> None:
        """Open a client; it honours `AWS_ENDPOINT_URL`, `AWS_PROFILE` and the like.

        Args:
            region: the region's name; None or empty for the environment's own.

        Raises:
            WrongRequest: no region is given or configured, or there is none of that name.
            SpotPriceError: the environment's configuration cannot be used.
        """
        with self._told_in_a_sentence("Opening the client"):
            # boto3 itself reads AWS_DEFAULT_REGION alone; the other SDKs and the AWS CLI read AWS_REGION.
            self._session = boto3.session.Session(region_name=region or os.environ.get("AWS_REGION") or None)
            chosen = self._session.region_name
            if chosen is None:
                raise WrongRequest("No region was given; name one with REGION=… or --region, or set AWS_REGION.")
            self.region: str = chosen
            check_region(chosen, _known_regions(self._session))
            try:
                self._client: EC2Client = self._session.client("ec2", config=_CLIENT)
            except ValueError as error:
                raise SpotPriceError(f"EC2 cannot be asked: {_one_line(error)}; check AWS_ENDPOINT_URL.") from error

    def instance_types(self, names: Sequence[str]) -> dict[str, InstanceType]:
        """Return the sizes of the instance types asked for, by name and in their order.

        Raises:
            WrongRequest: the region offers no type of such a name.
            SpotPriceError: EC2 could not be asked.
        """
        with self._told_in_a_sentence("DescribeInstanceTypes"):
            pages = self._client.get_paginator("describe_instance_types").paginate(
                Filters=[{"Name": "instance-type", "Values": list(names)}]
            )
            found: dict[str, InstanceType] = {}
            for page in pages:
                for item in page["InstanceTypes"]:
                    vcpus, memory_mib = item["VCpuInfo"]["DefaultVCpus"], item["MemoryInfo"]["SizeInMiB"]
                    found[item["InstanceType"]] = InstanceType(item["InstanceType"], vcpus, memory_mib)
        if any(name not in found for name in names):
            check_offered(names, self._offered_types() | set(found), self.region)
            missing = ", ".join(name for name in names if name not in found)
            raise SpotPriceError(f"{self.region} offers {missing}, but EC2 describes no such instance type.")
        return {name: found[name] for name in names}

    def price_changes(self, names: Sequence[str], window: Window) -> Iterator[PriceChange]:
        """Yield the price changes of the window, and for each type and zone the last one before it.

        Raises:
            SpotPriceError: EC2 could not be asked, or answered what is no price.
        """
        with self._told_in_a_sentence("DescribeSpotPriceHistory"):
            pages = self._client.get_paginator("describe_spot_price_history").paginate(
                InstanceTypes=list(names),  # type: ignore[arg-type]  # the stub's closed set lags behind EC2's
                ProductDescriptions=[PRODUCT],
                StartTime=window.start,
                EndTime=window.end,
            )
            for number, page in enumerate(pages, start=1):
                logger.info("price history, page %d: %d changes", number, len(page["SpotPriceHistory"]))
                for item in page["SpotPriceHistory"]:
                    price = _price(item["SpotPrice"])
                    at = item["Timestamp"].astimezone(UTC)
                    yield PriceChange(item["InstanceType"], item["AvailabilityZone"], at, price)

    def _offered_types(self) -> set[str]:
        with self._told_in_a_sentence("DescribeInstanceTypeOfferings"):
            pages = self._client.get_paginator("describe_instance_type_offerings").paginate(LocationType="region")
            return {item["InstanceType"] for page in pages for item in page["InstanceTypeOfferings"]}

    @contextmanager
    def _told_in_a_sentence(self, action: str) -> Iterator[None]:
        try:
            yield
        except aws_errors.ClientError as error:
            raise SpotPriceError(self._refusal(error, action)) from error
        except (aws_errors.BotoCoreError, ResponseParserError) as error:
            raise SpotPriceError(_failure(error, action)) from error

    def _refusal(self, error: aws_errors.ClientError, action: str) -> str:
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
            return f"These AWS credentials may not call ec2:{action} in {self.region} ({code})."
        return f"EC2 in {self.region} refused {action}: {code}: {message or 'no reason given'}."

    def _region_is_disabled(self) -> bool:
        prefixes = (home for prefix, home in _ALWAYS_ENABLED_REGIONS.items() if self.region.startswith(f"{prefix}-"))
        home = next(prefixes, "us-east-1")
        try:
            client = self._session.client("ec2", region_name=home, config=_CLIENT)
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


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise SpotPriceError(f"EC2 answered {text!r} as a spot price, which is no number.") from error
    if not price.is_finite() or price < 0:
        raise SpotPriceError(f"EC2 answered {text!r} as a spot price, which is none.")
    return price


def _failure(error: Exception, action: str) -> str:
    for kinds, sentence in _SENTENCES:
        if isinstance(error, kinds):
            return sentence.format(error=_one_line(error))
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
        "EC2 cannot be reached: {error}; check the network, the region and AWS_ENDPOINT_URL.",
    ),
    ((ResponseParserError,), "What answered is not EC2: {error}; check AWS_ENDPOINT_URL."),
)
