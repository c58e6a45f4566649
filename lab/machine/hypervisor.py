"""Keeps the machines of this host in step with the instances that the embedded EC2 says exist."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from lab.image.debian import OnStep
from lab.machine.fleet import MachinePlan

GROUP_TAG = "aws:autoscaling:groupName"
ALIVE = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What one comparison led to: the ids of instances booted and of those ended."""

    booted: tuple[str, ...]
    ended: tuple[str, ...]


class PoweredMachine(Protocol):
    """What the hypervisor asks of a machine."""

    def start(self) -> None:
        """Powers it on."""

    def shutdown(self) -> None:
        """Powers it off cleanly."""

    def power_cut(self) -> None:
        """Ends it in an instant."""


class Machines(Protocol):
    """What the hypervisor asks of the machine host."""

    @property
    def machines(self) -> Mapping[str, PoweredMachine]:
        """The machines by their instance ids."""
        ...

    def add_machine(self, plan: MachinePlan, endpoint_url: str) -> PoweredMachine:
        """Creates a machine, powered off."""
        ...

    def remove_machine(self, instance_id: str) -> None:
        """Removes a machine and its disk."""


class Hypervisor:
    """Boots a machine for each living instance of one Auto Scaling group, and ends those whose instance is gone."""

    def __init__(
        self,
        ec2: Any,
        group_name: str,
        host: Machines,
        endpoint_url: str,
        *,
        role: str = "openclaw-lab",
        on_step: OnStep = lambda message: None,
    ) -> None:
        """Takes a boto3 EC2 client; `endpoint_url` is the embedded AWS as the machines reach it.

        `before_power_on` is handed each new machine before it runs for the first time; it may be set at any time.
        """
        self._ec2 = ec2
        self._group_name = group_name
        self._host = host
        self._endpoint_url = endpoint_url
        self._role = role
        self._on_step = on_step
        self.before_power_on: Callable[[PoweredMachine], None] = lambda _machine: None

    def reconcile(self) -> Reconciliation:
        """Compares once: ended instances are powered off cleanly, new ones are booted from their own user-data.

        A machine that was powered off or killed while its instance lives is left as it is.
        """
        living = {instance["InstanceId"]: instance for instance in self._living_instances()}
        ended = tuple(instance_id for instance_id in self._host.machines if instance_id not in living)
        for instance_id in ended:
            self._on_step(f"Powering off {instance_id}: EC2 has terminated it")
            try:
                self._host.machines[instance_id].shutdown()
            finally:
                self._host.remove_machine(instance_id)
        booted = tuple(instance_id for instance_id in living if instance_id not in self._host.machines)
        for instance_id in booted:
            self._on_step(f"Booting {instance_id}")
            machine = self._host.add_machine(self._plan(living[instance_id]), self._endpoint_url)
            self.before_power_on(machine)
            machine.start()
        return Reconciliation(booted, ended)

    def power_cut(self, instance_id: str) -> None:
        """Lets a spot instance vanish without notice: machine and disk are gone, and EC2 knows it as terminated."""
        self._host.machines[instance_id].power_cut()
        self._host.remove_machine(instance_id)
        self._ec2.terminate_instances(InstanceIds=[instance_id])

    def _living_instances(self) -> list[dict[str, Any]]:
        pages = self._ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": f"tag:{GROUP_TAG}", "Values": [self._group_name]},
                {"Name": "instance-state-name", "Values": list(ALIVE)},
            ]
        )
        return [
            instance for page in pages for reservation in page["Reservations"] for instance in reservation["Instances"]
        ]

    def _plan(self, instance: dict[str, Any]) -> MachinePlan:
        zone = instance["Placement"]["AvailabilityZone"]
        return MachinePlan(
            instance_id=instance["InstanceId"],
            user_data=self._user_data(instance["InstanceId"]),
            region=self._ec2.meta.region_name,
            availability_zone=zone,
            instance_type=instance["InstanceType"],
            role=self._role,
            image_id=instance.get("ImageId", "ami-00000000000000000"),
        )

    def _user_data(self, instance_id: str) -> str:
        attribute = self._ec2.describe_instance_attribute(InstanceId=instance_id, Attribute="userData")
        encoded = attribute.get("UserData", {}).get("Value", "")
        return base64.b64decode(encoded).decode()
