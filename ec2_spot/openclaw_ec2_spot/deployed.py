"""Asks AWS what it has of this stack already.

AWS is asked, and not Pulumi's state: an update that failed halfway may have lost the stack's outputs, and the state of
version 0.1.0 does not have them.
"""

import base64
from ipaddress import IPv4Network

import pulumi_aws as aws

from openclaw_ec2_spot.network_plan import DeployedNetwork
from openclaw_ec2_spot.placement import DeployedTemplate
from openclaw_platform.names import Scope
from openclaw_platform.refusals import ConfigRefused


def deployed_network(scope: Scope) -> DeployedNetwork | None:
    """The stack's network, None before the first deployment.

    Raises:
        ConfigRefused: when there are several, of which none can be told to be the stack's.
    """
    found = aws.ec2.get_vpcs(tags=scope.tags()).ids
    if not found:
        return None
    if len(found) > 1:
        raise ConfigRefused(
            f"{scope.region} has {len(found)} networks of the stack {scope.stack} ({', '.join(sorted(found))}), one of "
            "them left by an update that failed: run `pulumi destroy --exclude-protected`, delete by hand what is left "
            "of them, and then run `pulumi up`."
        )
    (vpc_id,) = found
    subnets = [
        aws.ec2.get_subnet(id=subnet)
        for subnet in aws.ec2.get_subnets(filters=[aws.ec2.GetSubnetsFilterArgs(name="vpc-id", values=[vpc_id])]).ids
    ]
    return DeployedNetwork(
        vpc_id,
        IPv4Network(aws.ec2.get_vpc(id=vpc_id).cidr_block),
        tuple((subnet.availability_zone, IPv4Network(subnet.cidr_block)) for subnet in subnets),
    )


def deployed_template(scope: Scope) -> DeployedTemplate | None:
    """The stack's launch template, None before the first deployment."""
    # Despite its name it lists groups, and an empty list is no error, as a missing template would be.
    if not aws.autoscaling.get_ami_ids(names=[scope.name]).names:
        return None
    found = aws.ec2.get_launch_template(name=scope.name)
    return DeployedTemplate(found.image_id, found.description or "", _decoded(found.user_data or ""))


def _decoded(user_data: str) -> str:
    try:
        return base64.b64decode(user_data, validate=True).decode()
    except ValueError:
        # Not ours: nothing is said about it.
        return ""
