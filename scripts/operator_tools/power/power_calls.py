"""The one place where pausing touches AWS: the group's size, what became of it, and its alarms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from operator_tools.account.account import CLIENT_SETTINGS, Account
from operator_tools.power.group_state import GroupState, Member

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient
    from mypy_boto3_cloudwatch import CloudWatchClient


class PowerCalls:
    """One group and some alarms of its stack, through the credentials of the environment.

    Raises (each method, and the constructor):
        AccountError: AWS refused or could not be asked; the text is the sentence for the user.
    """

    def __init__(self, account: Account, group: str, alarms: Sequence[str]) -> None:
        self._account = account
        self._group = group
        self._alarms = list(alarms)
        with account.told_in_a_sentence("autoscaling", "Opening the client"):
            self._autoscaling: AutoScalingClient = account.session.client("autoscaling", config=CLIENT_SETTINGS)
        with account.told_in_a_sentence("cloudwatch", "Opening the client"):
            self._cloudwatch: CloudWatchClient = account.session.client("cloudwatch", config=CLIENT_SETTINGS)

    def group(self) -> GroupState | None:
        """Return the group as it is now, or None if there is none."""
        with self._account.told_in_a_sentence("autoscaling", "DescribeAutoScalingGroups"):
            answer = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self._group])
        for found in answer["AutoScalingGroups"]:
            members = (Member(each["InstanceId"], each["LifecycleState"]) for each in found["Instances"])
            return GroupState(found["DesiredCapacity"], tuple(members))
        return None

    def set_desired(self, desired: int) -> None:
        """Ask for so many instances; Auto Scaling starts or shuts them down by itself."""
        with self._account.told_in_a_sentence("autoscaling", "SetDesiredCapacity"):
            self._autoscaling.set_desired_capacity(
                AutoScalingGroupName=self._group, DesiredCapacity=desired, HonorCooldown=False
            )

    def newest_complaint(self) -> str:
        """Return why the newest scaling activity has not succeeded (no spot capacity, …), or nothing."""
        with self._account.told_in_a_sentence("autoscaling", "DescribeScalingActivities"):
            answer = self._autoscaling.describe_scaling_activities(AutoScalingGroupName=self._group, MaxRecords=1)
        for activity in answer["Activities"]:
            return " ".join(activity.get("StatusMessage", "").split())
        return ""

    def speaking_alarms(self) -> dict[str, bool]:
        """Tell of each alarm that there is whether it tells anybody when it fires."""
        with self._account.told_in_a_sentence("cloudwatch", "DescribeAlarms"):
            answer = self._cloudwatch.describe_alarms(AlarmNames=self._alarms)
        return {alarm["AlarmName"]: alarm["ActionsEnabled"] for alarm in answer["MetricAlarms"]}

    def let_alarms_speak(self, alarms: Sequence[str], speak: bool) -> None:
        """Let alarms tell, or keep them silent; they go on watching."""
        if speak:
            with self._account.told_in_a_sentence("cloudwatch", "EnableAlarmActions"):
                self._cloudwatch.enable_alarm_actions(AlarmNames=list(alarms))
        else:
            with self._account.told_in_a_sentence("cloudwatch", "DisableAlarmActions"):
                self._cloudwatch.disable_alarm_actions(AlarmNames=list(alarms))
