"""One spot instance that OpenClaw runs on, with everything that keeps it running."""

from collections.abc import Iterator
from dataclasses import dataclass

import pulumi

from openclaw_ec2_spot.boot import Boot, plan_boot
from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.connecting import dashboard_link, gateway_command, shell_command
from openclaw_ec2_spot.identity import Identity, IdentityArgs
from openclaw_ec2_spot.launch import SpotGroup, SpotGroupArgs
from openclaw_ec2_spot.network import Network, NetworkArgs
from openclaw_ec2_spot.placement import Placement
from openclaw_ec2_spot.watching import Watching, WatchingArgs
from openclaw_platform import program
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs


@dataclass(frozen=True, slots=True)
class SpotInstanceArgs:
    """Where the instance lives, what the user decided, what AWS confirmed, its user-data template, its platform."""

    scope: Scope
    settings: InstanceSettings
    placement: Placement
    user_data_template: str
    platform: PlatformOutputs[pulumi.Input[str]]


@dataclass(frozen=True, slots=True)
class InstanceOutputs:
    """What a person needs to know about the instance."""

    region: pulumi.Input[str]
    availability_zone: pulumi.Input[str]
    group_name: pulumi.Input[str]
    backup_bucket: pulumi.Input[str]
    shell_command: pulumi.Input[str]
    gateway_command: pulumi.Input[str]
    dashboard_link: pulumi.Input[str]

    def named(self) -> Iterator[tuple[str, pulumi.Input[str]]]:
        """Each output's name and value, in the order above."""
        for name in self.__slots__:
            yield name, getattr(self, name)


class SpotInstance(pulumi.ComponentResource):
    """Network, identity, launch template with its group of one, alarms and dashboard."""

    outputs: InstanceOutputs

    def __init__(self, name: str, args: SpotInstanceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:ec2spot:SpotInstance", name, None, opts)
        scope, settings = args.scope, args.settings
        child = pulumi.ResourceOptions(parent=self)
        platform = program.known(args.platform)

        network = Network("network", NetworkArgs(scope, settings, args.placement.subnet), child)
        identity = Identity("instance", IdentityArgs(scope, settings, platform), child)
        boot = platform.apply(lambda known: _announced(args, known))
        group = SpotGroup(
            "instance",
            SpotGroupArgs(
                scope=scope,
                settings=settings,
                placement=args.placement,
                subnet_id=network.subnet_id,
                security_group_id=network.security_group_id,
                profile_name=identity.profile_name,
                user_data=boot.apply(lambda planned: planned.user_data),
                description=boot.apply(lambda planned: planned.description),
            ),
            # An instance that boots before it has a route out would wait for its release.
            pulumi.ResourceOptions(parent=self, depends_on=[network]),
        )
        Watching(
            "watching",
            WatchingArgs(scope, settings, args.platform.alarm_topic_arn, args.platform.agent_log_group),
            child,
        )

        self.outputs = InstanceOutputs(
            region=scope.region,
            availability_zone=settings.availability_zone,
            group_name=group.group_name,
            backup_bucket=args.platform.backup_bucket,
            shell_command=shell_command(scope),
            gateway_command=gateway_command(scope),
            dashboard_link=dashboard_link(scope),
        )
        self.register_outputs(dict(self.outputs.named()))


def _announced(args: SpotInstanceArgs, platform: PlatformOutputs[str]) -> Boot:
    boot = plan_boot(args.user_data_template, args.scope, args.settings, args.placement, platform)
    if boot.announcement:
        pulumi.log.warn(boot.announcement)
    return boot
