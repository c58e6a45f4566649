"""Who may write to the bucket: epochs, and the decision to claim, wait or step back. Pure; no clock, no network."""

import json
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any, Self

from openclaw_agent.errors import AgentError
from openclaw_agent.snapshot.keys import LEASE_KEY


class Liveness(Enum):
    """What is known of the instance that is written down as owner."""

    ALIVE = "still runs or is shutting down"
    GONE = "is gone"
    UNKNOWN = "cannot be looked up"


@dataclass(frozen=True, slots=True)
class Lease:
    """`owner.json`: the instance that may write, since when (ISO 8601 UTC), and whether it has let go.

    `preempted` is the instance whose ownership was taken without its having let go ("" for none): it may still be at
    work on `latest/`.
    """

    epoch: int
    instance_id: str
    since: str
    released: bool
    preempted: str = ""

    def encode(self) -> bytes:
        """The record as JSON text."""
        fields = {
            "epoch": self.epoch,
            "instance_id": self.instance_id,
            "since": self.since,
            "released": self.released,
            "preempted": self.preempted,
        }
        return (json.dumps(fields, indent=2) + "\n").encode()

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read a record.

        Raises:
            AgentError: when the text is no owner record; it is never taken for "no owner".
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            if not isinstance(fields, dict):
                raise TypeError("it is no JSON object")
            epoch, released = fields["epoch"], fields["released"]
            if type(epoch) is not int or epoch < 1 or type(released) is not bool:
                raise TypeError("epoch must be a positive number and released true or false")
            # 0.1.0 called it `displaced`.
            preempted = str(fields.get("preempted", fields.get("displaced", "")))
            return cls(epoch, str(fields["instance_id"]), str(fields["since"]), released, preempted)
        except (KeyError, TypeError, ValueError) as problem:
            raise AgentError(
                f"{LEASE_KEY} in the bucket is no owner record ({problem}); look at it, and delete it only if no "
                "instance is running."
            ) from problem

    def released_record(self) -> Self:
        """The same owner, having let go."""
        return replace(self, released=True)

    def is_current(self, epoch: int, instance_id: str) -> bool:
        """Whether the instance that claimed `epoch` is still the owner."""
        return self.epoch == epoch and self.instance_id == instance_id


class Step(StrEnum):
    """What an instance that wants the lease does next."""

    CLAIM = "claim"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class NextStep:
    """The step, and why, in the words of the docs."""

    step: Step
    because: str


def next_step(
    current: Lease | None, me: str, liveness: Liveness, waited_seconds: float, wait_limit_seconds: float
) -> NextStep:
    """Decide whether `me` may claim the bucket now or has to wait for the owner to let go."""
    if current is None:
        return NextStep(Step.CLAIM, "the bucket has no owner")
    if current.instance_id == me:
        return NextStep(Step.CLAIM, "this instance was the last owner")
    if current.released:
        return NextStep(Step.CLAIM, f"{current.instance_id} released the bucket")
    if liveness is Liveness.GONE:
        return NextStep(Step.CLAIM, f"{current.instance_id} is gone")
    if waited_seconds >= wait_limit_seconds:
        return NextStep(
            Step.CLAIM,
            f"{current.instance_id} {liveness.value}, but has not released the bucket in {wait_limit_seconds:.0f} s",
        )
    return NextStep(Step.WAIT, f"{current.instance_id} {liveness.value} and has not released the bucket")


def successor(current: Lease | None, me: str, now_iso: str, *, least_epoch: int = 1) -> Lease:
    """The record that makes `me` the owner: one epoch after the current one, and at least `least_epoch`."""
    if current is None:
        return Lease(least_epoch, me, now_iso, released=False)
    epoch = max(current.epoch + 1, least_epoch)
    if current.instance_id == me:
        return Lease(epoch, me, now_iso, released=False, preempted=current.preempted)
    return Lease(epoch, me, now_iso, released=False, preempted="" if current.released else current.instance_id)
