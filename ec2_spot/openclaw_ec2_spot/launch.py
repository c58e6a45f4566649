"""How the instance comes to life, again and again: launch template and Auto Scaling group."""

import base64
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.placement import Placement
from openclaw_platform.names import Scope

ROOT_DEVICE = "/dev/xvda"
"""The root device of Amazon Linux 2023 images."""


@dataclass(frozen=True, slots=True)
class SpotGroupArgs:
    """What to launch (`user_data` is plain text, `description` says what it is made of), where, and as whom."""

    scope: Scope
    settings: InstanceSettings
    placement: Placement
    subnet_id: pulumi.Input[str]
    security_group_id: pulumi.Input[str]
    profile_name: pulumi.Input[str]
    user_data: pulumi.Input[str]
    description: pulumi.Input[str]


class SpotGroup(pulumi.ComponentResource):
    """A group of one spot instance, which replaces it when it vanishes or when its template changes."""

    group_name: pulumi.Output[str]

    def __init__(self, name: str, args: SpotGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:ec2spot:SpotGroup", name, None, opts)
        template = aws.ec2.LaunchTemplate(name, _launch_template(args), pulumi.ResourceOptions(parent=self))
        group = aws.autoscaling.Group(
            name,
            _group(args, template),
            # `make pause` and `make resume` decide it from here on; an update, after a refresh too, takes no side.
            pulumi.ResourceOptions(parent=self, ignore_changes=["desiredCapacity"]),
        )
        aws.autoscaling.LifecycleHook(
            name,
            _final_backup_hook(args.scope, group),
            # Deleted before its group it would not hold the instance that a destroy ends; it goes with the group.
            pulumi.ResourceOptions(parent=self, deleted_with=group),
        )
        self.group_name = group.name
        self.register_outputs({"group_name": group.name})


def _final_backup_hook(scope: Scope, group: aws.autoscaling.Group) -> aws.autoscaling.LifecycleHookArgs:
    return aws.autoscaling.LifecycleHookArgs(
        name=scope.final_backup_hook,
        autoscaling_group_name=group.name,
        lifecycle_transition="autoscaling:EC2_INSTANCE_TERMINATING",
        # After each heartbeat of the spot watch; an instance that is dead already holds its place for as long.
        heartbeat_timeout=300,
        default_result="CONTINUE",
    )


def _launch_template(args: SpotGroupArgs) -> aws.ec2.LaunchTemplateArgs:
    scope, placement = args.scope, args.placement
    cpu_credits = aws.ec2.LaunchTemplateCreditSpecificationArgs(cpu_credits=args.settings.cpu_credits)
    return aws.ec2.LaunchTemplateArgs(
        name=scope.name,
        description=args.description,
        update_default_version=True,
        image_id=placement.ami_id,
        instance_type=placement.instance_types[0],
        user_data=pulumi.Output.from_input(args.user_data).apply(lambda text: base64.b64encode(text.encode()).decode()),
        # One hop: a packet from a container needs two, so no container can take the instance's role.
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=ROOT_DEVICE,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_type="gp3",
                    volume_size=args.settings.root_volume_size_gib,
                    encrypted="true",
                    delete_on_termination="true",
                ),
            )
        ],
        # The default of t3 and t4g is unlimited, which bills for every minute above the baseline.
        credit_specification=cpu_credits if placement.burstable else None,
        iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(name=args.profile_name),
        vpc_security_group_ids=[args.security_group_id],
        instance_initiated_shutdown_behavior="terminate",
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=scope.tags())
            for kind in ("instance", "volume")
        ],
        tags=scope.tags(),
    )


def _group(args: SpotGroupArgs, template: aws.ec2.LaunchTemplate) -> aws.autoscaling.GroupArgs:
    scope, placement = args.scope, args.placement
    return aws.autoscaling.GroupArgs(
        name=scope.name,
        min_size=0,
        max_size=1,
        desired_capacity=1,
        vpc_zone_identifiers=[args.subnet_id],
        mixed_instances_policy=aws.autoscaling.GroupMixedInstancesPolicyArgs(
            instances_distribution=aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs(
                on_demand_base_capacity=0,
                on_demand_percentage_above_base_capacity=0,
                spot_allocation_strategy="capacity-optimized-prioritized",
            ),
            launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
                launch_template_specification=(
                    aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                        # A number, not $Latest: only then does the group see that the template has changed.
                        launch_template_id=template.id,
                        version=template.latest_version.apply(str),
                    )
                ),
                overrides=[
                    aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(instance_type=instance_type)
                    for instance_type in placement.instance_types
                ],
            ),
        ),
        # Two instances would be two writers: the old one goes before the new one comes, whatever the reason.
        capacity_rebalance=False,
        instance_maintenance_policy=aws.autoscaling.GroupInstanceMaintenancePolicyArgs(
            min_healthy_percentage=0, max_healthy_percentage=100
        ),
        instance_refresh=aws.autoscaling.GroupInstanceRefreshArgs(
            strategy="Rolling",
            # Without it the instance would stay in its old zone, whose subnet then could not go. The name is that of
            # the provider's own attribute.
            triggers=["vpc_zone_identifier"],
            preferences=aws.autoscaling.GroupInstanceRefreshPreferencesArgs(
                min_healthy_percentage=0, max_healthy_percentage=100, instance_warmup="0"
            ),
        ),
        health_check_type="EC2",
        health_check_grace_period=300,
        default_cooldown=10,
        tags=[
            aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=False)
            for key, value in scope.tags().items()
        ],
    )
