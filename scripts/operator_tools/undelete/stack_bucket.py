"""Which bucket a stack's backups are in, and whether an instance may still write to it."""

from typing import TYPE_CHECKING

from openclaw_platform.names import Scope
from operator_tools.account.account import CLIENT_SETTINGS, Account
from operator_tools.account.errors import AccountError
from operator_tools.power.stack_place import Place

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient


def backup_bucket(account: Account, place: Place) -> str:
    """Return the name of a stack's backup bucket, which follows from the stack's and the account's.

    Raises:
        AccountError: AWS does not say whose credentials these are.
    """
    with account.told_in_a_sentence("sts", "GetCallerIdentity"):
        identity = account.session.client("sts", config=CLIENT_SETTINGS).get_caller_identity()
    return Scope(place.stack, account.region, identity["Account"]).backup_bucket


def require_paused(account: Account, place: Place) -> None:
    """Refuse while an instance of the stack may write: it would put its own state over what comes back.

    Raises:
        AccountError: there is one, or AWS cannot be asked.
    """
    with account.told_in_a_sentence("autoscaling", "DescribeAutoScalingGroups"):
        autoscaling: AutoScalingClient = account.session.client("autoscaling", config=CLIENT_SETTINGS)
        groups = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[place.group])["AutoScalingGroups"]
    for group in groups:
        if group["DesiredCapacity"] or group["Instances"]:
            raise AccountError(
                f"An instance of {place.stack} may still write to the bucket; pause it first: "
                f"make pause STACK={place.stack}"
            )
