"""What an Auto Scaling group looks like at one moment, and whether it is where it should be. Pure."""

from dataclasses import dataclass
from enum import Enum

GONE = "Terminated"
IN_SERVICE = "InService"


class Power(Enum):
    """What the user wants of a stack; the value is the command's verb."""

    PAUSE = "pause"
    RESUME = "resume"

    @property
    def desired(self) -> int:
        """How many instances the group is to have."""
        return 0 if self is Power.PAUSE else 1

    @property
    def done(self) -> str:
        """The state that the verb leads to."""
        return "paused" if self is Power.PAUSE else "running"


@dataclass(frozen=True, slots=True)
class Member:
    """One instance of the group, and its lifecycle state in Auto Scaling's own word."""

    instance_id: str
    state: str


@dataclass(frozen=True, slots=True)
class GroupState:
    """How many instances the group wants, and those it has."""

    desired: int
    members: tuple[Member, ...]

    def settled(self, power: Power) -> bool:
        """Tell whether what the user wants is reached: nothing is left, or an instance is in service."""
        if self.desired != power.desired:
            return False
        if power is Power.PAUSE:
            return all(member.state == GONE for member in self.members)
        return any(member.state == IN_SERVICE for member in self.members)

    def in_words(self) -> str:
        """Return what the group holds."""
        if not self.members:
            return "no instance"
        return ", ".join(f"{member.instance_id} {member.state}" for member in self.members)
