"""Lifecycle actions of Auto Scaling, which moto does not know: an instance says that its group may go on.

moto ends an instance within the call that asks for it, hook or none. From then on its action is active here until it is
completed; a tag of the ended instance, TERMINATING, says what it has told, for the lab's machines to see.
"""

from __future__ import annotations

from typing import Any

TERMINATING = "openclaw-lab:terminating"
HEARTBEAT, ENDED = "heartbeat", ("terminated", "shutting-down")


def answer_lifecycle_actions() -> None:
    """Answer CompleteLifecycleAction and RecordLifecycleActionHeartbeat."""
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.core.responses import EmptyResult

    def told(self: Any, what: str) -> Any:
        backend = self.autoscaling_backend
        group, hook = self._get_param("AutoScalingGroupName"), self._get_param("LifecycleHookName")
        _active_instance(backend, group, hook, self._get_param("InstanceId")).add_tags({TERMINATING: what})
        return EmptyResult()

    def complete_lifecycle_action(self: Any) -> Any:
        return told(self, self._get_param("LifecycleActionResult"))

    def record_lifecycle_action_heartbeat(self: Any) -> Any:
        return told(self, HEARTBEAT)

    AutoScalingResponse.complete_lifecycle_action = complete_lifecycle_action  # type: ignore[attr-defined]
    AutoScalingResponse.record_lifecycle_action_heartbeat = record_lifecycle_action_heartbeat  # type: ignore[attr-defined]


def _active_instance(backend: Any, group: str, hook: str, instance_id: str) -> Any:
    from moto.autoscaling.exceptions import ValidationError

    known = [
        row for row in backend.describe_lifecycle_hooks(group, [hook]) if "TERMINATING" in row.lifecycle_transition
    ]
    found = [row for row in backend.ec2_backend.all_instances() if row.id == instance_id]
    for instance in found if known else ():
        tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
        of_the_group = tags.get("aws:autoscaling:groupName") == group
        if of_the_group and instance._state.name in ENDED and tags.get(TERMINATING, HEARTBEAT) == HEARTBEAT:
            return instance
    raise ValidationError(f"No active Lifecycle Action found with instance ID {instance_id}")
