"""What an instance type costs now in each zone of a region."""

from datetime import UTC, datetime
from decimal import Decimal

from openclaw_ec2_spot.placement import is_zone_of
from operator_tools.prices.ec2_prices import Ec2Prices
from operator_tools.prices.price_series import PriceChange, Window


def zone_prices(region: str, instance_type: str) -> dict[str, Decimal]:
    """Return US dollars an hour by zone; zones without a spot price have none.

    Raises:
        AccountError: EC2 could not be asked, or the region offers no such type.
    """
    prices = Ec2Prices(region)
    prices.instance_types([instance_type])
    newest: dict[str, PriceChange] = {}
    for change in prices.price_changes([instance_type], Window.of_days(1, datetime.now(UTC))):
        if is_zone_of(change.zone, region) and (change.zone not in newest or newest[change.zone].at < change.at):
            newest[change.zone] = change
    return {zone: change.price for zone, change in newest.items()}
