"""The hook that holds an instance which its Auto Scaling group is about to end, until the final backup is made."""

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openclaw_agent.host.identity import instance_id
from openclaw_agent.settings import Settings
from openclaw_agent.store.credentials import PATIENT, find_credentials

if TYPE_CHECKING:
    from mypy_boto3_autoscaling import AutoScalingClient

_log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 60.0
# The hook waits for 300 s after each. Pulumi waits for 10 minutes for the end of a group that it deletes.
LAST_HEARTBEAT_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class LifecycleHook:
    """A terminating hook, by the names of its group and its own."""

    group: str
    name: str

    @classmethod
    def of(cls, settings: Settings) -> "LifecycleHook | None":
        """That of this instance's group; None where the installer's settings name none."""
        if not settings.scaling_group or not settings.lifecycle_hook:
            return None
        return cls(settings.scaling_group, settings.lifecycle_hook)


@contextlib.contextmanager
def holding(
    settings: Settings, *, every: float = HEARTBEAT_SECONDS, at_most: float = LAST_HEARTBEAT_SECONDS
) -> Iterator[None]:
    """Let the group wait while the block runs, and let it go on at the block's end, however that went.

    An instance that is not held (a spot reclaim) loses nothing by it.
    """
    hook = LifecycleHook.of(settings)
    if hook is None:
        yield
        return
    over = threading.Event()
    beating = threading.Thread(target=_beat, args=(settings, hook, over, every, at_most), daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
        _tell(settings, hook, "complete_lifecycle_action", LifecycleActionResult="CONTINUE")


def _beat(settings: Settings, hook: LifecycleHook, over: threading.Event, every: float, at_most: float) -> None:
    for _number in range(int(at_most // every)):
        if over.wait(every):
            return
        _tell(settings, hook, "record_lifecycle_action_heartbeat")


def _tell(settings: Settings, hook: LifecycleHook, action: str, **more: Any) -> None:
    """Ask one thing of the group; what cannot be asked costs time at most: the hook ends by itself."""
    try:
        request = getattr(_client(settings), action)
        request(LifecycleHookName=hook.name, AutoScalingGroupName=hook.group, InstanceId=instance_id(settings), **more)
    except Exception as problem:  # noqa: BLE001 - nothing here may keep the watch from its end
        if "No active Lifecycle Action" in str(problem):
            return
        _log.warning("The group %s could not be told (%s: %s); it goes on by itself.", hook.group, action, problem)
        return
    _log.info("Told the group %s: %s.", hook.group, action.replace("_", " "))


def _client(settings: Settings) -> "AutoScalingClient":
    from boto3.session import Session
    from botocore.config import Config

    session = Session(region_name=settings.region)
    find_credentials(session, PATIENT)
    return session.client(
        "autoscaling",
        config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4}),
    )
