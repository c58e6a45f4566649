"""Auto Scaling groups with their lifecycle hooks, and the rolling refresh that moto does not do."""

from __future__ import annotations

from typing import Any

from lab.resources.errors import InvalidInput
from lab.resources.handlers.base import Created, Handler, ignoring_gone, physical_name, resource_inputs
from lab.resources.region import Region
from lab.resources.resource import Resource
from lab.resources.shapes import INTEGER, SWITCH, TEXT, TEXTS, an_object, list_of, to_aws
from lab.resources.values import Inputs, known_objects, known_text, known_texts

NEWEST, DEFAULT = "$Latest", "$Default"
SPECIFICATION = an_object(launchTemplateId=TEXT, launchTemplateName=TEXT, version=TEXT)
OVERRIDE = an_object(instanceType=TEXT, launchTemplateSpecification=SPECIFICATION, weightedCapacity=TEXT)
DISTRIBUTION = an_object(
    onDemandAllocationStrategy=TEXT, onDemandBaseCapacity=INTEGER, onDemandPercentageAboveBaseCapacity=INTEGER,
    spotAllocationStrategy=TEXT, spotInstancePools=INTEGER, spotMaxPrice=TEXT,
)  # fmt: skip
MIXED = an_object(
    "launchTemplate",
    launchTemplate=an_object(
        "launchTemplateSpecification", launchTemplateSpecification=SPECIFICATION, overrides=list_of(OVERRIDE)
    ),
    instancesDistribution=DISTRIBUTION,
)
SPOT_STRATEGIES = ("lowest-price", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized")
REFRESH = an_object(
    "strategy",
    strategy=TEXT,
    preferences=an_object(
        autoRollback=SWITCH, instanceWarmup=TEXT, maxHealthyPercentage=INTEGER, minHealthyPercentage=INTEGER,
        scaleInProtectedInstances=TEXT, skipMatching=SWITCH, standbyInstances=TEXT,
    ),
    triggers=TEXTS,
)  # fmt: skip
OPTIONAL_CAPACITY = {
    "capacityRebalance": "CapacityRebalance",
    "defaultCooldown": "DefaultCooldown",
    "healthCheckGracePeriod": "HealthCheckGracePeriod",
    "healthCheckType": "HealthCheckType",
    "terminationPolicies": "TerminationPolicies",
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
    "maxInstanceLifetime": "MaxInstanceLifetime",
    "defaultInstanceWarmup": "DefaultInstanceWarmup",
    "desiredCapacity": "DesiredCapacity",
}
NEVER_UPDATED = ("defaultCooldown", "terminationPolicies", "maxInstanceLifetime", "defaultInstanceWarmup")
"""moto's UpdateAutoScalingGroup takes these without keeping them; they stay in the state."""


ALWAYS_TRIGGERING = ("launchTemplate", "mixedInstancesPolicy")
TRIGGERS = {"tag": "tags", "vpc_zone_identifier": "vpcZoneIdentifiers", "availability_zones": "availabilityZones",
            "health_check_type": "healthCheckType", "max_instance_lifetime": "maxInstanceLifetime"}  # fmt: skip
"""Names that `triggers` may hold, which are the provider's own, each with what the program calls the same input."""

TRANSITIONS = ("autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING")
RESULTS = ("ABANDON", "CONTINUE")
SHORTEST_HEARTBEAT, LONGEST_HEARTBEAT = 30, 7200
HOOK_FIELDS = {
    "autoscalingGroupName": "AutoScalingGroupName",
    "lifecycleTransition": "LifecycleTransition",
    "heartbeatTimeout": "HeartbeatTimeout",
    "defaultResult": "DefaultResult",
    "notificationMetadata": "NotificationMetadata",
    "notificationTargetArn": "NotificationTargetARN",
    "roleArn": "RoleARN",
}


class Group(Handler):
    """An Auto Scaling group."""

    type = "aws:autoscaling/group:Group"
    shape = resource_inputs(
        "maxSize minSize",
        name=TEXT, namePrefix=TEXT, maxSize=INTEGER, minSize=INTEGER, desiredCapacity=INTEGER, availabilityZones=TEXTS,
        vpcZoneIdentifiers=TEXTS, launchTemplate=an_object(id=TEXT, name=TEXT, version=TEXT),
        mixedInstancesPolicy=MIXED, capacityRebalance=SWITCH, defaultCooldown=INTEGER, defaultInstanceWarmup=INTEGER,
        forceDelete=SWITCH, healthCheckGracePeriod=INTEGER, healthCheckType=TEXT, instanceRefresh=REFRESH,
        instanceMaintenancePolicy=an_object(
            "maxHealthyPercentage minHealthyPercentage", maxHealthyPercentage=INTEGER, minHealthyPercentage=INTEGER
        ),
        ignoreFailedScalingActivities=SWITCH, maxInstanceLifetime=INTEGER, protectFromScaleIn=SWITCH,
        suspendedProcesses=TEXTS, terminationPolicies=TEXTS, waitForCapacityTimeout=TEXT,
        tags=list_of(an_object("key value propagateAtLaunch", key=TEXT, value=TEXT, propagateAtLaunch=SWITCH)),
    )  # fmt: skip
    replace_on = frozenset({"name", "namePrefix"})
    name_key = "name"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Refuse sizes out of order, unknown types, mixed architectures, and types that the zones do not offer."""
        _check_sizes(inputs)
        if "launchTemplate" in inputs and "mixedInstancesPolicy" in inputs:
            raise InvalidInput("a group has either launchTemplate or mixedInstancesPolicy")
        policy = inputs.get("mixedInstancesPolicy")
        if isinstance(policy, dict):
            _check_strategy(policy.get("instancesDistribution"))
        _check_types(cloud, inputs)
        refresh = inputs.get("instanceRefresh")
        for trigger in known_texts(refresh.get("triggers")) if isinstance(refresh, dict) else ():
            if trigger not in TRIGGERS:
                raise InvalidInput(f"an instance refresh has no trigger '{trigger}', only {', '.join(TRIGGERS)}")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Create the group, which launches its instances."""
        group = physical_name(name, inputs)
        optional = {aws: inputs[key] for key, aws in OPTIONAL_CAPACITY.items() if key in inputs}
        cloud.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=group, Tags=_tags(group, inputs), **_launching(inputs), **_sizes(inputs), **optional
        )
        self._suspend(cloud, group, [], inputs)
        return Created(group, self.read(cloud, group) or {})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Change the group; a new launch template version rolls its instances if a refresh is configured."""
        autoscaling = cloud.client("autoscaling")
        optional = {
            aws: inputs[key] for key, aws in OPTIONAL_CAPACITY.items() if key in inputs and key not in NEVER_UPDATED
        }
        # As the provider does: what somebody else has scaled is left alone by an update of something else.
        if inputs.get("desiredCapacity") == current.inputs.get("desiredCapacity"):
            optional.pop("DesiredCapacity", None)
        autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=current.id, **_launching(inputs), **_sizes(inputs), **optional
        )
        kept = {tag["key"] for tag in inputs.get("tags") or []}
        stale = [tag for tag in _tags(current.id, current.inputs) if tag["Key"] not in kept]
        if stale:
            autoscaling.delete_tags(Tags=stale)
        if inputs.get("tags"):
            autoscaling.create_or_update_tags(Tags=_tags(current.id, inputs))
        self._suspend(cloud, current.id, current.inputs.get("suspendedProcesses") or [], inputs)
        if "instanceRefresh" in inputs and _refresh_triggered(current.inputs, inputs):
            roll_instances(cloud, current.id)
        return self.read(cloud, current.id) or {}

    def read(self, cloud: Region, identifier: str) -> Inputs | None:
        """Return an existing group's names and sizes."""
        answer = cloud.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[identifier])
        if not answer["AutoScalingGroups"]:
            return None
        found = answer["AutoScalingGroups"][0]
        return {
            "arn": found["AutoScalingGroupARN"],
            "name": identifier,
            "availabilityZones": found["AvailabilityZones"],
            "desiredCapacity": found["DesiredCapacity"],
            "healthCheckType": found.get("HealthCheckType", "EC2"),
            "vpcZoneIdentifiers": [each for each in found.get("VPCZoneIdentifier", "").split(",") if each],
            "region": cloud.region,
        }

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the group and its instances."""
        with ignoring_gone():
            cloud.client("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=current.id, ForceDelete=True)

    def _suspend(self, cloud: Region, group: str, old: list[str], inputs: Inputs) -> None:
        new = inputs.get("suspendedProcesses") or []
        if set(old) - set(new):
            cloud.client("autoscaling").resume_processes(
                AutoScalingGroupName=group, ScalingProcesses=sorted(set(old) - set(new))
            )
        if new:
            cloud.client("autoscaling").suspend_processes(AutoScalingGroupName=group, ScalingProcesses=new)


def roll_instances(cloud: Region, group: str) -> None:
    """Emulate StartInstanceRefresh, which moto does not know: one after the other, old instances end.

    The group itself launches each successor, from the template version that it names by now.
    """
    answer = cloud.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    for instance in answer["AutoScalingGroups"][0]["Instances"]:
        cloud.client("ec2").terminate_instances(InstanceIds=[instance["InstanceId"]])


def _refresh_triggered(old: Inputs, new: Inputs) -> bool:
    """A refresh starts at a change of the launch template or mixed instances policy, and of what `triggers` names."""
    triggers = new["instanceRefresh"].get("triggers") or []
    watched = (*ALWAYS_TRIGGERING, *(TRIGGERS[each] for each in triggers))
    return any(old.get(key) != new.get(key) for key in watched)


def _launching(inputs: Inputs) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if "mixedInstancesPolicy" in inputs:
        request["MixedInstancesPolicy"] = to_aws(MIXED, inputs["mixedInstancesPolicy"])
    if "launchTemplate" in inputs:
        template = inputs["launchTemplate"]
        names = {"id": "LaunchTemplateId", "name": "LaunchTemplateName", "version": "Version"}
        request["LaunchTemplate"] = {aws: str(template[key]) for key, aws in names.items() if template.get(key)}
    if inputs.get("vpcZoneIdentifiers"):
        request["VPCZoneIdentifier"] = ",".join(inputs["vpcZoneIdentifiers"])
    if inputs.get("availabilityZones"):
        request["AvailabilityZones"] = inputs["availabilityZones"]
    return request


def _sizes(inputs: Inputs) -> dict[str, int]:
    return {"MinSize": inputs["minSize"], "MaxSize": inputs["maxSize"]}


def _tags(group: str, inputs: Inputs) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": group,
            "ResourceType": "auto-scaling-group",
            "Key": tag["key"],
            "Value": tag["value"],
            "PropagateAtLaunch": tag["propagateAtLaunch"] in (True, "true"),
        }
        for tag in inputs.get("tags") or []
    ]


def _check_sizes(inputs: Inputs) -> None:
    least, most = inputs.get("minSize"), inputs.get("maxSize")
    wanted = inputs.get("desiredCapacity", least)
    if (
        isinstance(least, int)
        and isinstance(most, int)
        and isinstance(wanted, int)
        and not 0 <= least <= wanted <= most
    ):
        raise InvalidInput(f"sizes must rise from 0: min {least}, desired {wanted}, max {most}")


def _check_strategy(distribution: Any) -> None:
    strategy = known_text(distribution.get("spotAllocationStrategy")) if isinstance(distribution, dict) else None
    if strategy is not None and strategy not in SPOT_STRATEGIES:
        raise InvalidInput(f"the spot allocation strategy is one of {', '.join(SPOT_STRATEGIES)}, not '{strategy}'")


def _check_types(cloud: Region, inputs: Inputs) -> None:
    policy = inputs.get("mixedInstancesPolicy")
    launch = policy.get("launchTemplate") if isinstance(policy, dict) else None
    overrides = known_objects(launch.get("overrides")) if isinstance(launch, dict) else []
    types = [name for name in (known_text(each.get("instanceType")) for each in overrides) if name is not None]
    families = {name: tuple(cloud.instance_type(name)["ProcessorInfo"]["SupportedArchitectures"]) for name in types}
    if families and not set.intersection(*(set(each) for each in families.values())):
        listed = ", ".join(f"{name} ({'/'.join(each)})" for name, each in families.items())
        raise InvalidInput(f"the instance types have no architecture in common: {listed}")
    subnets = known_texts(inputs.get("vpcZoneIdentifiers"))
    zones = set(known_texts(inputs.get("availabilityZones")))
    if subnets and types:
        found = cloud.client("ec2").describe_subnets(SubnetIds=subnets)["Subnets"]
        zones |= {subnet["AvailabilityZone"] for subnet in found}
    for zone in sorted(zones):
        cloud.check_zone(zone)
        if types and not any(zone in cloud.zones_with_type(name) for name in types):
            raise InvalidInput(f"the zone {zone} offers none of {', '.join(types)}")


class LifecycleHook(Handler):
    """What holds the group's instances while they begin or end; a change is a Put, as in the provider."""

    type = "aws:autoscaling/lifecycleHook:LifecycleHook"
    shape = resource_inputs(
        "autoscalingGroupName lifecycleTransition",
        name=TEXT, autoscalingGroupName=TEXT, lifecycleTransition=TEXT, heartbeatTimeout=INTEGER, defaultResult=TEXT,
        notificationMetadata=TEXT, notificationTargetArn=TEXT, roleArn=TEXT,
    )  # fmt: skip
    replace_on = frozenset({"name", "autoscalingGroupName"})
    name_key = "name"

    def check(self, cloud: Region, inputs: Inputs) -> None:
        """Refuse transitions, results and waits that AWS refuses."""
        transition, result = known_text(inputs.get("lifecycleTransition")), known_text(inputs.get("defaultResult"))
        if transition is not None and transition not in TRANSITIONS:
            raise InvalidInput(f"the lifecycle transition is one of {', '.join(TRANSITIONS)}, not '{transition}'")
        if result is not None and result not in RESULTS:
            raise InvalidInput(f"the default result is one of {', '.join(RESULTS)}, not '{result}'")
        seconds = inputs.get("heartbeatTimeout")
        if isinstance(seconds, int) and not SHORTEST_HEARTBEAT <= seconds <= LONGEST_HEARTBEAT:
            raise InvalidInput(f"heartbeatTimeout is from {SHORTEST_HEARTBEAT} to {LONGEST_HEARTBEAT}, not {seconds}")

    def create(self, cloud: Region, name: str, inputs: Inputs) -> Created:
        """Put the hook."""
        hook = physical_name(name, inputs)
        self._put(cloud, hook, inputs)
        return Created(hook, {"name": hook})

    def update(self, cloud: Region, current: Resource, inputs: Inputs) -> Inputs:
        """Put it again."""
        self._put(cloud, current.id, inputs)
        return {"name": current.id}

    def delete(self, cloud: Region, current: Resource) -> None:
        """Delete the hook; AWS has done so where its group is gone."""
        with ignoring_gone():
            cloud.client("autoscaling").delete_lifecycle_hook(
                LifecycleHookName=current.id, AutoScalingGroupName=str(current.inputs["autoscalingGroupName"])
            )

    def _put(self, cloud: Region, hook: str, inputs: Inputs) -> None:
        request = {aws: inputs[key] for key, aws in HOOK_FIELDS.items() if key in inputs}
        cloud.client("autoscaling").put_lifecycle_hook(LifecycleHookName=hook, **request)


HANDLERS = (Group(), LifecycleHook())
