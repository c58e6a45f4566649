"""Who may write to the bucket: epochs, and the decision to claim, wait or step back. Pure; no clock, no network."""

import json
import re
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Any, Self

from openclaw_agent.errors import LeaseInvalid
from openclaw_agent.snapshot.head_codec import LARGEST_EPOCH, instance_id
from openclaw_agent.snapshot.keys import LEASE_KEY
from openclaw_agent.snapshot.strict_json import field, flag, matching, parse_object, whole

MOST_BYTES = 64 * 1024
_SINCE = re.compile(r"[0-9T:.+Z -]{0,64}")
_since = matching(_SINCE, "time")


def _nobody_or_instance(value: Any) -> str:
    return "" if value == "" else instance_id(value)


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
            LeaseInvalid: when the text is no owner record; it is never taken for "no owner".
        """
        try:
            if len(text) > MOST_BYTES:
                raise ValueError(f"it has more than {MOST_BYTES:,} bytes")
            fields = parse_object(text)
            # 0.1.0 called it `displaced`.
            before = "preempted" if "preempted" in fields else "displaced"
            return cls(
                field(fields, "epoch", whole(1, LARGEST_EPOCH)),
                field(fields, "instance_id", instance_id),
                field(fields, "since", _since),
                field(fields, "released", flag),
                field(fields, before, _nobody_or_instance, ""),
            )
        except ValueError as problem:
            raise LeaseInvalid(
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
    """The record that makes `me` the owner: one epoch after the current one, and at least `least_epoch`.

    Raises:
        LeaseInvalid: when there is no number left after an epoch that is none of an agent's.
    """
    epoch = max(current.epoch + 1, least_epoch) if current else least_epoch
    if epoch > LARGEST_EPOCH:
        raise LeaseInvalid(
            f"No epoch comes after {epoch - 1}, which {LEASE_KEY} or a manifest in the bucket has: no agent wrote it. "
            "Bring the bucket back as it was before (make undelete), or delete what has it."
        )
    if current is None:
        return Lease(epoch, me, now_iso, released=False)
    if current.instance_id == me:
        return Lease(epoch, me, now_iso, released=False, preempted=current.preempted)
    return Lease(epoch, me, now_iso, released=False, preempted="" if current.released else current.instance_id)
