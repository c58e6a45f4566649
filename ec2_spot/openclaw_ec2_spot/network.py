"""The stack's own network: one public subnet, a way out, no way in."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from openclaw_ec2_spot.config_keys import InstanceSettings
from openclaw_ec2_spot.endpoint_policy import s3_endpoint_policy
from openclaw_ec2_spot.network_plan import ZoneSubnet
from openclaw_platform.names import Scope

WEB_PORTS = (80, 443)
"""What the instance may reach without being told: packages, AWS, the image registry, chat networks, models."""


@dataclass(frozen=True, slots=True)
class NetworkArgs:
    """Where the network lies, its addresses and those of its subnet, and the ports that may be reached from it."""

    scope: Scope
    settings: InstanceSettings
    subnet: ZoneSubnet


class Network(pulumi.ComponentResource):
    """VPC, subnet in the configured zone, internet gateway, S3 endpoint, and a security group without ingress."""

    subnet_id: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("openclaw:ec2spot:Network", name, None, opts)
        scope, settings = args.scope, args.settings
        child = pulumi.ResourceOptions(parent=self)
        tags = scope.tags()

        vpc = aws.ec2.Vpc(
            name,
            cidr_block=str(settings.cidr),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=tags,
            opts=child,
        )
        # The group that AWS makes with every VPC lets its members in; without rules it is of no use to anybody.
        aws.ec2.DefaultSecurityGroup(name, vpc_id=vpc.id, ingress=[], egress=[], tags=tags, opts=child)

        internet = aws.ec2.InternetGateway(name, vpc_id=vpc.id, tags=tags, opts=child)
        # A name for each zone: another zone is another subnet, which is made before this one goes.
        subnet = aws.ec2.Subnet(
            name + args.subnet.name,
            vpc_id=vpc.id,
            cidr_block=str(args.subnet.cidr),
            availability_zone=args.subnet.zone,
            # A NAT gateway would cost several times what the instance does.
            map_public_ip_on_launch=True,
            tags=tags,
            # An instance that leaves the zone holds it until its final backup is made.
            opts=pulumi.ResourceOptions(parent=self, custom_timeouts=pulumi.CustomTimeouts(delete="45m")),
        )
        routes = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags=tags, opts=child)
        aws.ec2.Route(
            name,
            route_table_id=routes.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=internet.id,
            opts=child,
        )
        # The way out of every subnet. An association of the subnet's own would be gone before the subnet is, and the
        # instance that leaves a zone still has its final backup to make.
        aws.ec2.MainRouteTableAssociation(name, vpc_id=vpc.id, route_table_id=routes.id, opts=child)
        # Free, and backups stay off the internet.
        aws.ec2.VpcEndpoint(
            name,
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{scope.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[routes.id],
            policy=json.dumps(s3_endpoint_policy(scope.account_id)),
            tags=tags,
            opts=child,
        )

        # DNS, time and instance metadata go through link-local addresses that security groups do not filter.
        group = aws.ec2.SecurityGroup(
            name,
            name=scope.name,
            description=f"Instance of {scope.name}: nothing comes in",
            vpc_id=vpc.id,
            ingress=[],
            egress=[
                aws.ec2.SecurityGroupEgressArgs(
                    protocol="tcp", from_port=port, to_port=port, cidr_blocks=["0.0.0.0/0"], description=f"TCP {port}"
                )
                for port in sorted({*WEB_PORTS, *settings.extra_egress_ports})
            ],
            tags=tags,
            opts=child,
        )

        self.subnet_id = subnet.id
        self.security_group_id = group.id
        self.register_outputs({"subnet_id": subnet.id, "security_group_id": group.id})
