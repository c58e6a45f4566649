"""ECR repositories and their lifecycle policies."""

from __future__ import annotations

from collections.abc import Collection

from botocore.exceptions import ClientError

from lab.resources.handlers.base import Created, Handler, ignoring_gone, is_gone, physical_name, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import JSON, SWITCH, TAGS, TEXT, an_object, json_text, list_of
from lab.resources.values import Inputs

SCANNING = an_object("scanOnPush", scanOnPush=SWITCH)
ENCRYPTION = an_object(encryptionType=TEXT, kmsKey=TEXT)


class Repository(Handler):
    """A repository of container images."""

    type = "aws:ecr/repository:Repository"
    shape = resource_inputs(
        name=TEXT, imageTagMutability=TEXT, imageScanningConfiguration=SCANNING, forceDelete=SWITCH, tags=TAGS,
        encryptionConfigurations=list_of(ENCRYPTION),
    )  # fmt: skip
    replace_on = frozenset({"name", "encryptionConfigurations"})
    name_key = "name"

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the repository."""
        repository = physical_name(name, inputs)
        # ECR's own API writes its keys in camelCase, as the provider does.
        encryption = inputs.get("encryptionConfigurations") or []
        optional = {"encryptionConfiguration": encryption[0]} if encryption else {}
        cloud.client("ecr").create_repository(
            repositoryName=repository,
            imageTagMutability=inputs.get("imageTagMutability", "MUTABLE"),
            imageScanningConfiguration=inputs.get("imageScanningConfiguration", {"scanOnPush": False}),
            tags=cloud.tag_list(inputs),
            **optional,
        )
        return Created(repository, {**(self.read(cloud, repository) or {}), "tagsAll": cloud.tags(inputs)})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change mutability, scanning and tags."""
        ecr, arn, tags = cloud.client("ecr"), current.outputs["arn"], cloud.tags(inputs)
        ecr.put_image_tag_mutability(
            repositoryName=current.id, imageTagMutability=inputs.get("imageTagMutability", "MUTABLE")
        )
        ecr.put_image_scanning_configuration(
            repositoryName=current.id,
            imageScanningConfiguration=inputs.get("imageScanningConfiguration", {"scanOnPush": False}),
        )
        stale = [key for key in current.outputs.get("tagsAll", {}) if key not in tags]
        if stale:
            ecr.untag_resource(resourceArn=arn, tagKeys=stale)
        if tags:
            ecr.tag_resource(resourceArn=arn, tags=cloud.tag_list(inputs))
        return {"tagsAll": tags}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing repository's names."""
        try:
            found = cloud.client("ecr").describe_repositories(repositoryNames=[identifier])["repositories"][0]
        except ClientError as error:
            if is_gone(error):
                return None
            raise
        return {
            "arn": found["repositoryArn"],
            "name": found["repositoryName"],
            "registryId": found["registryId"],
            "repositoryUrl": found["repositoryUri"],
            "region": cloud.region,
        }

    def refusal(self, cloud: Region, current: Resource, doomed: Collection[Resource]) -> str | None:
        """Refuse a repository that holds images, unless it is forceDelete."""
        if current.inputs.get("forceDelete"):
            return None
        with ignoring_gone():
            images = cloud.client("ecr").list_images(repositoryName=current.id)["imageIds"]
            if images:
                return f"The repository {current.id} holds {len(images)} images and is not forceDelete."
        return None

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the repository."""
        with ignoring_gone():
            cloud.client("ecr").delete_repository(
                repositoryName=current.id, force=bool(current.inputs.get("forceDelete"))
            )


class LifecyclePolicy(Handler):
    """Which images of a repository expire."""

    type = "aws:ecr/lifecyclePolicy:LifecyclePolicy"
    shape = resource_inputs("policy repository", policy=JSON, repository=TEXT)
    replace_on = frozenset({"repository"})
    unique = True

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the policy."""
        return Created(inputs["repository"], self._put(cloud, inputs))

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Put the policy again."""
        return self._put(cloud, inputs)

    def delete(self, cloud: Region, current: Resource) -> None:
        """Take the policy away."""
        with ignoring_gone():
            cloud.client("ecr").delete_lifecycle_policy(repositoryName=current.id)

    def _put(self, cloud: Region, inputs: Inputs) -> Inputs:
        answer = cloud.client("ecr").put_lifecycle_policy(
            repositoryName=inputs["repository"], lifecyclePolicyText=json_text(inputs["policy"])
        )
        return {"registryId": answer["registryId"], "region": cloud.region}


HANDLERS = (Repository(), LifecyclePolicy())
