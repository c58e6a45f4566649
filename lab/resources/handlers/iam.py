"""IAM: roles, their policies, and instance profiles."""

from __future__ import annotations

from botocore.exceptions import ClientError

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, is_gone, physical_name, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import INTEGER, JSON, SWITCH, TAGS, TEXT, json_text
from lab.resources.values import Inputs, known_text

ROLE_NAME_LIMIT = 64
INLINE_POLICY_LIMIT = 10_240


def _check_name(inputs: Inputs, limit: int, what: str) -> None:
    name = known_text(inputs.get("name")) or ""
    if len(name) > limit:
        raise InvalidInput(f"a {what}'s name has at most {limit} characters, '{name}' has {len(name)}")


class Role(Handler):
    """A role that a service assumes."""

    type = "aws:iam/role:Role"
    shape = resource_inputs(
        "assumeRolePolicy",
        assumeRolePolicy=JSON, description=TEXT, forceDetachPolicies=SWITCH, maxSessionDuration=INTEGER, name=TEXT,
        namePrefix=TEXT, path=TEXT, permissionsBoundary=TEXT, tags=TAGS,
    )  # fmt: skip
    replace_on = frozenset({"name", "namePrefix", "path"})
    name_key = "name"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Names are bounded; moto does not say so."""
        _check_name(inputs, ROLE_NAME_LIMIT, "role")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the role."""
        role = physical_name(name, inputs)
        optional = {
            "Description": inputs.get("description"),
            "MaxSessionDuration": inputs.get("maxSessionDuration"),
            "PermissionsBoundary": inputs.get("permissionsBoundary"),
        }
        cloud.client("iam").create_role(
            RoleName=role,
            Path=inputs.get("path", "/"),
            AssumeRolePolicyDocument=json_text(inputs["assumeRolePolicy"]),
            Tags=cloud.tag_list(inputs),
            **{key: value for key, value in optional.items() if value is not None},
        )
        return Created(role, {**(self.read(cloud, role) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change trust, description, session length and tags."""
        iam = cloud.client("iam")
        iam.update_assume_role_policy(RoleName=current.id, PolicyDocument=json_text(inputs["assumeRolePolicy"]))
        iam.update_role(
            RoleName=current.id,
            Description=inputs.get("description", ""),
            MaxSessionDuration=inputs.get("maxSessionDuration", 3600),
        )
        tags = cloud.tags(inputs)
        stale = [key for key in current.outputs.get("tagsAll", {}) if key not in tags]
        if stale:
            iam.untag_role(RoleName=current.id, TagKeys=stale)
        if tags:
            iam.tag_role(RoleName=current.id, Tags=cloud.tag_list(inputs))
        return {**(self.read(cloud, current.id) or {}), "tagsAll": tags}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing role's names."""
        try:
            role = cloud.client("iam").get_role(RoleName=identifier)["Role"]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return {
            "arn": role["Arn"],
            "name": role["RoleName"],
            "path": role["Path"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the role, with foreign policies only if it is forceDetachPolicies."""
        iam = cloud.client("iam")
        with ignoring_gone():
            if current.inputs.get("forceDetachPolicies"):
                for policy in iam.list_attached_role_policies(RoleName=current.id)["AttachedPolicies"]:
                    iam.detach_role_policy(RoleName=current.id, PolicyArn=policy["PolicyArn"])
                for name in iam.list_role_policies(RoleName=current.id)["PolicyNames"]:
                    iam.delete_role_policy(RoleName=current.id, PolicyName=name)
            iam.delete_role(RoleName=current.id)


class RolePolicy(Handler):
    """A policy written into a role."""

    type = "aws:iam/rolePolicy:RolePolicy"
    shape = resource_inputs("policy role", policy=JSON, role=TEXT, name=TEXT, namePrefix=TEXT)
    replace_on = frozenset({"role", "name", "namePrefix"})
    name_key = "name"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """All inline policies of a role share 10,240 characters without white space; moto does not count them."""
        policy = inputs.get("policy")
        text = "".join(json_text(policy).split()) if isinstance(policy, str | dict) else ""
        if len(text) > INLINE_POLICY_LIMIT:
            raise InvalidInput(f"a role's policies have at most {INLINE_POLICY_LIMIT} characters, here {len(text)}")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the policy; its id is role:name."""
        policy = physical_name(name, inputs)
        self._put(cloud, inputs["role"], policy, inputs)
        return Created(f"{inputs['role']}:{policy}", {"name": policy})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Put the policy again."""
        self._put(cloud, inputs["role"], current.outputs["name"], inputs)
        return {"name": current.outputs["name"]}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Take the policy out of the role."""
        role, _, policy = current.id.partition(":")
        with ignoring_gone():
            cloud.client("iam").delete_role_policy(RoleName=role, PolicyName=policy)

    def _put(self, cloud: Region, role: str, policy: str, inputs: Inputs) -> None:
        document = json_text(inputs["policy"])
        cloud.client("iam").put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=document)


class RolePolicyAttachment(Handler):
    """A managed policy attached to a role."""

    type = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
    shape = resource_inputs("policyArn role", policyArn=TEXT, role=TEXT)
    replace_on = frozenset({"policyArn", "role"})
    unique = True

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Attach the policy."""
        cloud.client("iam").attach_role_policy(RoleName=inputs["role"], PolicyArn=inputs["policyArn"])
        return Created(f"{inputs['role']}/{inputs['policyArn']}", {})

    def delete(self, cloud: Region, current: Resource) -> None:
        """Detach the policy."""
        with ignoring_gone():
            cloud.client("iam").detach_role_policy(
                RoleName=current.inputs["role"], PolicyArn=current.inputs["policyArn"]
            )


class InstanceProfile(Handler):
    """What carries a role to an instance."""

    type = "aws:iam/instanceProfile:InstanceProfile"
    shape = resource_inputs(name=TEXT, namePrefix=TEXT, path=TEXT, role=TEXT, tags=TAGS)
    replace_on = frozenset({"name", "namePrefix", "path"})
    name_key = "name"

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the profile with its role."""
        profile = physical_name(name, inputs)
        cloud.client("iam").create_instance_profile(
            InstanceProfileName=profile, Path=inputs.get("path", "/"), Tags=cloud.tag_list(inputs)
        )
        self._change_role(cloud, profile, None, inputs.get("role"))
        return Created(profile, {**(self.read(cloud, profile) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Exchange the role."""
        self._change_role(cloud, current.id, current.inputs.get("role"), inputs.get("role"))
        return {**(self.read(cloud, current.id) or {}), "tagsAll": cloud.tags(inputs)}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing profile's names."""
        try:
            profile = cloud.client("iam").get_instance_profile(InstanceProfileName=identifier)["InstanceProfile"]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return {
            "arn": profile["Arn"],
            "name": profile["InstanceProfileName"],
            "path": profile["Path"],
            "uniqueId": profile["InstanceProfileId"],
            "createDate": profile["CreateDate"].isoformat(),
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Take the role out, then delete the profile."""
        with ignoring_gone():
            self._change_role(cloud, current.id, current.inputs.get("role"), None)
        with ignoring_gone():
            cloud.client("iam").delete_instance_profile(InstanceProfileName=current.id)

    def _change_role(self, cloud: Region, profile: str, old: str | None, new: str | None) -> None:
        iam = cloud.client("iam")
        if old and old != new:
            iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=old)
        if new and old != new:
            iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=new)


HANDLERS = (Role(), RolePolicy(), RolePolicyAttachment(), InstanceProfile())
