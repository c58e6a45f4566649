"""Who the instance is to AWS: a role with least privilege, and the profile that carries it."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.instance_policies import instance_policy, trust_policy
from openclaw_platform.names import Scope
from openclaw_platform.outputs import PlatformOutputs


@dataclass(frozen=True, slots=True)
class IdentityArgs:
    """Where the instance lives, what the user decided, and the platform whose things it may use."""

    scope: Scope
    settings: InstanceSettings
    platform: pulumi.Output[PlatformOutputs[str]]


class Identity(pulumi.ComponentResource):
    """Role, its one policy, and the instance profile."""

    profile_name: pulumi.Output[str]

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:ec2spot:Identity", name, None, opts)
        scope = args.scope
        child = pulumi.ResourceOptions(parent=self)

        role = aws.iam.Role(
            name,
            name=scope.instance_role,
            description=f"Instance of {scope.name}",
            assume_role_policy=json.dumps(trust_policy()),
            tags=scope.tags(scope.instance_role),
            opts=child,
        )
        policy = aws.iam.RolePolicy(
            name,
            name=scope.instance_role,
            role=role.name,
            policy=args.platform.apply(
                lambda platform: json.dumps(instance_policy(scope, platform, args.settings.kms_key_arn))
            ),
            opts=child,
        )
        profile = aws.iam.InstanceProfile(
            name,
            name=scope.instance_role,
            role=role.name,
            tags=scope.tags(scope.instance_role),
            # An instance that starts before its role may do anything would fail its first restore.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

        self.profile_name = profile.name
        self.register_outputs({"profile_name": profile.name})
