"""The one place where spot prices touch AWS: what EC2 is asked for them."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from operator_tools.account.account import CLIENT_SETTINGS, Account
from operator_tools.prices.offers import InstanceType
from operator_tools.prices.price_errors import SpotPriceError
from operator_tools.prices.price_report import PRODUCT
from operator_tools.prices.price_series import PriceChange, Window
from operator_tools.prices.requested import check_offered

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

logger = logging.getLogger(__name__)


class Ec2Prices:
    """EC2's price history and instance types in one region, through the credentials of the environment."""

    def __init__(self, region: str | None) -> None:
        """Open a client.

        Args:
            region: the region's name; None or empty for the environment's own.

        Raises:
            AccountError: no such region, or the environment's configuration cannot be used.
        """
        self.incomplete_changes = 0
        self._account = Account(region)
        self.region = self._account.region
        with self._account.told_in_a_sentence("ec2", "Opening the client"):
            self._client: EC2Client = self._account.session.client("ec2", config=CLIENT_SETTINGS)

    def instance_types(self, names: Sequence[str]) -> dict[str, InstanceType]:
        """Return the sizes of the instance types asked for, by name and in their order.

        Raises:
            WrongRequest: the region offers no type of such a name.
            AccountError: EC2 could not be asked.
        """
        with self._account.told_in_a_sentence("ec2", "DescribeInstanceTypes"):
            pages = self._client.get_paginator("describe_instance_types").paginate(
                Filters=[{"Name": "instance-type", "Values": list(names)}]
            )
            found: dict[str, InstanceType] = {}
            for page in pages:
                for item in page["InstanceTypes"]:
                    try:
                        vcpus, memory_mib = item["VCpuInfo"]["DefaultVCpus"], item["MemoryInfo"]["SizeInMiB"]
                        found[item["InstanceType"]] = InstanceType(item["InstanceType"], vcpus, memory_mib)
                    except KeyError as lacking:
                        lack = f"EC2 described an instance type without its {lacking.args[0]}."
                        raise SpotPriceError(lack) from lacking
        if any(name not in found for name in names):
            check_offered(names, self._offered_types() | set(found), self.region)
            missing = ", ".join(name for name in names if name not in found)
            raise SpotPriceError(f"{self.region} offers {missing}, but EC2 describes no such instance type.")
        return {name: found[name] for name in names}

    def price_changes(self, names: Sequence[str], window: Window) -> Iterator[PriceChange]:
        """Yield the price changes of the window, and for each type and zone the last one before it.

        Those that lack a zone, a time, a price or a type are only counted, in `incomplete_changes`.

        Raises:
            AccountError: EC2 could not be asked.
            SpotPriceError: EC2 answered what is no price.
        """
        with self._account.told_in_a_sentence("ec2", "DescribeSpotPriceHistory"):
            pages = self._client.get_paginator("describe_spot_price_history").paginate(
                InstanceTypes=list(names),  # type: ignore[arg-type]  # the stub's closed set lags behind EC2's
                ProductDescriptions=[PRODUCT],
                StartTime=window.start,
                EndTime=window.end,
            )
            for number, page in enumerate(pages, start=1):
                logger.info("price history, page %d: %d changes", number, len(page["SpotPriceHistory"]))
                for item in page["SpotPriceHistory"]:
                    try:
                        price = _price(item["SpotPrice"])
                        at = item["Timestamp"].astimezone(UTC)
                        change = PriceChange(item["InstanceType"], item["AvailabilityZone"], at, price)
                    except KeyError:
                        self.incomplete_changes += 1
                    else:
                        yield change

    def _offered_types(self) -> set[str]:
        with self._account.told_in_a_sentence("ec2", "DescribeInstanceTypeOfferings"):
            pages = self._client.get_paginator("describe_instance_type_offerings").paginate(LocationType="region")
            return {item["InstanceType"] for page in pages for item in page["InstanceTypeOfferings"]}


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise SpotPriceError(f"EC2 answered {text!r} as a spot price, which is no number.") from error
    if not price.is_finite() or price < 0:
        raise SpotPriceError(f"EC2 answered {text!r} as a spot price, which is none.")
    return price
