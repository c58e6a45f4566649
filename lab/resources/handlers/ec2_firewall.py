"""EC2 security groups: with rules written into them, and rules as resources of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, physical_name, resource_inputs
from lab.resources.handlers.ec2_tags import first_or_none, retag, tag_specification
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import INTEGER, SWITCH, TAGS, TEXT, TEXTS, an_object, list_of
from lab.resources.values import Inputs, known_objects, known_text

DEFAULT_DESCRIPTION = "Managed by Pulumi"
HIGHEST_PORT = 65_535
INLINE_RULE = an_object(
    "fromPort protocol toPort",
    fromPort=INTEGER, protocol=TEXT, toPort=INTEGER, cidrBlocks=TEXTS, description=TEXT, ipv6CidrBlocks=TEXTS,
    prefixListIds=TEXTS, securityGroups=TEXTS, self=SWITCH,
)  # fmt: skip
RULES = {"ingress": list_of(INLINE_RULE), "egress": list_of(INLINE_RULE)}


def check_rules(inputs: Inputs) -> None:
    """Refuse ports that do not exist and rules without a peer; moto takes both.

    Raises:
        InvalidInput: names the rule.
    """
    for direction in RULES:
        for rule in known_objects(inputs.get(direction)):
            _check_ports(rule.get("fromPort"), rule.get("toPort"))
            peers = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "self")
            if not any(rule.get(peer) for peer in peers):
                raise InvalidInput(f"an {direction} rule needs one of {', '.join(peers)}")


def _check_ports(first: object, last: object) -> None:
    if isinstance(first, int) and isinstance(last, int) and not -1 <= first <= last <= HIGHEST_PORT:
        raise InvalidInput(f"ports go from 0 to {HIGHEST_PORT}, not from {first} to {last}")


def set_rules(cloud: Region, group: str, inputs: Inputs, directions: tuple[str, ...]) -> None:
    """Make a group's rules in these directions exactly those of the inputs."""
    ec2 = cloud.client("ec2")
    found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    for direction in directions:
        present = found["IpPermissions" if direction == "ingress" else "IpPermissionsEgress"]
        if present:
            getattr(ec2, f"revoke_security_group_{direction}")(GroupId=group, IpPermissions=present)
        wanted = [_permission(rule, group) for rule in inputs.get(direction) or []]
        if wanted:
            getattr(ec2, f"authorize_security_group_{direction}")(GroupId=group, IpPermissions=wanted)


def _permission(rule: Inputs, group: str) -> dict[str, Any]:
    note = {"Description": rule["description"]} if rule.get("description") else {}
    groups = [*(rule.get("securityGroups") or []), *([group] if rule.get("self") else [])]
    permission: dict[str, Any] = {"IpProtocol": str(rule["protocol"])}
    if permission["IpProtocol"] not in ("-1", "all"):
        permission |= {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    peers = {
        "IpRanges": [{"CidrIp": block, **note} for block in rule.get("cidrBlocks") or []],
        "Ipv6Ranges": [{"CidrIpv6": block, **note} for block in rule.get("ipv6CidrBlocks") or []],
        "PrefixListIds": [{"PrefixListId": each, **note} for each in rule.get("prefixListIds") or []],
        "UserIdGroupPairs": [{"GroupId": each, **note} for each in groups],
    }
    return permission | {key: value for key, value in peers.items() if value}


class SecurityGroup(Handler):
    """A security group; like the real provider it takes away the rule that lets everything out."""

    type = "aws:ec2/securityGroup:SecurityGroup"
    shape = resource_inputs(
        description=TEXT, name=TEXT, namePrefix=TEXT, revokeRulesOnDelete=SWITCH, tags=TAGS, vpcId=TEXT, **RULES
    )
    replace_on = frozenset({"description", "name", "namePrefix", "vpcId"})
    name_key = "name"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Rules must have ports and peers."""
        check_rules(inputs)

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the group and its rules."""
        place = {"VpcId": inputs["vpcId"]} if "vpcId" in inputs else {}
        group = cloud.client("ec2").create_security_group(
            GroupName=physical_name(name, inputs),
            Description=inputs.get("description", DEFAULT_DESCRIPTION),
            TagSpecifications=tag_specification("security-group", cloud.tags(inputs)),
            **place,
        )["GroupId"]
        set_rules(cloud, group, inputs, tuple(RULES))
        return Created(group, {**(self.read(cloud, group) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Exchange rules and tags; rules that the program never wrote are left to their own resources."""
        written = tuple(each for each in RULES if inputs.get(each) != current.inputs.get(each))
        set_rules(cloud, current.id, inputs, written)
        return {"tagsAll": retag(cloud, current, inputs)}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing group's names."""
        found = first_or_none(cloud.client("ec2").describe_security_groups, "SecurityGroups", GroupIds=[identifier])
        if found is None:
            return None
        return {
            "arn": cloud.arn("ec2", f"security-group/{identifier}"),
            "name": found["GroupName"],
            "description": found["Description"],
            "ownerId": found["OwnerId"],
            "vpcId": found.get("VpcId", ""),
            "region": cloud.region,
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the group."""
        with ignoring_gone():
            cloud.client("ec2").delete_security_group(GroupId=current.id)


class DefaultSecurityGroup(Handler):
    """The group that AWS makes with every VPC: adopted, its rules replaced; never created or deleted."""

    type = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
    shape = resource_inputs(vpcId=TEXT, revokeRulesOnDelete=SWITCH, tags=TAGS, **RULES)
    replace_on = frozenset({"vpcId"})

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Rules must have ports and peers."""
        check_rules(inputs)

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Adopt the group and set its rules."""
        own = [{"Name": "group-name", "Values": ["default"]}]
        if "vpcId" in inputs:
            own.append({"Name": "vpc-id", "Values": [inputs["vpcId"]]})
        found = cloud.client("ec2").describe_security_groups(Filters=own)["SecurityGroups"]
        if not found:
            raise InvalidInput(f"the VPC {inputs.get('vpcId')} has no default security group")
        group = found[0]["GroupId"]
        set_rules(cloud, group, inputs, tuple(RULES))
        if cloud.tags(inputs):
            cloud.client("ec2").create_tags(Resources=[group], Tags=cloud.tag_list(inputs))
        outputs = {
            "arn": cloud.arn("ec2", f"security-group/{group}"),
            "name": "default",
            "description": found[0]["Description"],
            "ownerId": found[0]["OwnerId"],
            "vpcId": found[0]["VpcId"],
            "region": cloud.region,
            "tagsAll": cloud.tags(inputs),
        }
        return Created(group, outputs)

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Exchange rules and tags."""
        set_rules(cloud, current.id, inputs, tuple(RULES))
        return {"tagsAll": retag(cloud, current, inputs)}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Leave the group to its VPC, as the real provider does."""


class SecurityGroupRule(Handler):
    """One rule as a resource of its own."""

    direction: ClassVar[str]
    shape = resource_inputs(
        "ipProtocol securityGroupId",
        ipProtocol=TEXT, securityGroupId=TEXT, cidrIpv4=TEXT, cidrIpv6=TEXT, description=TEXT, fromPort=INTEGER,
        prefixListId=TEXT, referencedSecurityGroupId=TEXT, tags=TAGS, toPort=INTEGER,
    )  # fmt: skip
    # AWS can change a rule in place; a new one is as good here, since a rule has no identity of interest.
    replace_on = frozenset(
        {"ipProtocol", "securityGroupId", "cidrIpv4", "cidrIpv6", "description", "fromPort", "prefixListId",
         "referencedSecurityGroupId", "toPort"}
    )  # fmt: skip
    unique = True

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """One peer, and ports that exist."""
        _check_ports(inputs.get("fromPort"), inputs.get("toPort"))
        peers = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
        given = [peer for peer in peers if peer in inputs]
        if len(given) != 1:
            raise InvalidInput(f"a rule has one of {', '.join(peers)}, not {len(given)}")
        if known_text(inputs.get("ipProtocol")) == "-1" and "fromPort" in inputs:
            raise InvalidInput("a rule for all protocols has no ports")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Authorize the rule."""
        rule = {
            "protocol": inputs["ipProtocol"],
            "fromPort": inputs.get("fromPort", -1),
            "toPort": inputs.get("toPort", -1),
            "description": inputs.get("description"),
            "cidrBlocks": [inputs["cidrIpv4"]] if "cidrIpv4" in inputs else [],
            "ipv6CidrBlocks": [inputs["cidrIpv6"]] if "cidrIpv6" in inputs else [],
            "prefixListIds": [inputs["prefixListId"]] if "prefixListId" in inputs else [],
            "securityGroups": [inputs["referencedSecurityGroupId"]] if "referencedSecurityGroupId" in inputs else [],
        }
        group = inputs["securityGroupId"]
        answer = getattr(cloud.client("ec2"), f"authorize_security_group_{self.direction}")(
            GroupId=group,
            IpPermissions=[_permission(rule, group)],
            TagSpecifications=tag_specification("security-group-rule", cloud.tags(inputs)),
        )
        identifier = answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        outputs = {
            "arn": cloud.arn("ec2", f"security-group-rule/{identifier}"),
            "securityGroupRuleId": identifier,
            "region": cloud.region,
            "tagsAll": cloud.tags(inputs),
        }
        return Created(identifier, outputs)

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change the tags."""
        return {"tagsAll": retag(cloud, current, inputs)}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Revoke the rule."""
        with ignoring_gone():
            getattr(cloud.client("ec2"), f"revoke_security_group_{self.direction}")(
                GroupId=current.inputs["securityGroupId"], SecurityGroupRuleIds=[current.id]
            )


class EgressRule(SecurityGroupRule):
    """A rule that lets something out."""

    type = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
    direction = "egress"


class IngressRule(SecurityGroupRule):
    """A rule that lets something in."""

    type = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    direction = "ingress"


HANDLERS = (SecurityGroup(), DefaultSecurityGroup(), EgressRule(), IngressRule())
