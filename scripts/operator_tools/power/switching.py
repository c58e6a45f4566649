"""What `pause` and `resume` do, in which order, and what they say on the way."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from operator_tools.account.errors import AccountError
from operator_tools.power.group_state import GroupState, Power
from operator_tools.power.power_calls import PowerCalls
from operator_tools.power.stack_place import Place


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long to wait for the group (0: not at all), and how often to look; seconds."""

    seconds: float
    every: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a switch ended: was anything changed, is the group there yet, after how long, and which alarms tell."""

    changed: bool
    group: GroupState
    settled: bool
    waited_seconds: float
    alarms: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Switch:
    """One stack's power button.

    Args:
        place: the stack and its group; `region` is where they were looked for.
        alarms: those that an absent instance sets off.
        say: takes one line for the user.
    """

    place: Place
    region: str
    alarms: tuple[str, ...]
    calls: PowerCalls
    say: Callable[[str], None]

    def to(self, power: Power, patience: Timeout) -> Outcome:
        """Switch, and wait until the group is there or patience ends.

        Raises:
            AccountError: there is no such group, or AWS refused.
        """
        before = self._group()
        changed = before.desired != power.desired
        if changed:
            self.say(self._beginning(power, before))
        else:
            already = "is already" if before.settled(power) else "is already on its way to be"
            self.say(f"{self.place.stack} {already} {power.done} (group {self.place.group} in {self.region}).")
        # Resuming, the alarm comes first: an instance must never run unwatched because a second call failed.
        speaks = self._let_alarms(power) if power is Power.RESUME else {}
        if changed:
            self.calls.set_desired(power.desired)
        if power is Power.PAUSE:
            speaks = self._let_alarms_after_pause()
        began = time.monotonic()
        group = self._wait(power, patience, began)
        return Outcome(changed, group, group.settled(power), time.monotonic() - began, speaks)

    def _group(self) -> GroupState:
        group = self.calls.group()
        if group is None:
            raise AccountError(
                f"There is no Auto Scaling group {self.place.group} in {self.region}: check STACK and REGION, "
                f"or deploy the stack with: make up STACK={self.place.stack}"
            )
        return group

    def _beginning(self, power: Power, before: GroupState) -> str:
        verb = "Pausing" if power is Power.PAUSE else "Resuming"
        steps = {
            Power.PAUSE: "the instance stops the gateway, makes a final backup, gives up ownership and ends",
            Power.RESUME: "a new spot instance starts and restores the last backup",
        }
        return (
            f"{verb} {self.place.stack} (group {self.place.group} in {self.region}): "
            f"desired instances {before.desired} -> {power.desired}; {steps[power]}."
        )

    def _let_alarms(self, power: Power) -> Mapping[str, bool]:
        found = self.calls.speaking_alarms()
        wanted = power is Power.RESUME
        missing = [alarm for alarm in self.alarms if alarm not in found]
        if missing:
            self.say(f"There is no alarm {_listed(missing)}; nothing to {'switch on' if wanted else 'silence'}.")
        changing = [alarm for alarm in self.alarms if found.get(alarm, wanted) is not wanted]
        if changing:
            self.calls.let_alarms_speak(changing, wanted)
            self.say(
                f"Alarms that tell again: {_listed(changing)}."
                if wanted
                else f"Silent until make resume: {_listed(changing)}; all other alarms stay on."
            )
        return dict.fromkeys(found, wanted)

    def _let_alarms_after_pause(self) -> Mapping[str, bool]:
        try:
            return self._let_alarms(Power.PAUSE)
        except AccountError as error:
            raise AccountError(
                f"{self.place.stack} is being paused, but {_listed(self.alarms)} could not be silenced and will tell "
                f"of missing backups: {error}"
            ) from error

    def _wait(self, power: Power, patience: Timeout, began: float) -> GroupState:
        group, told = self._group(), ""
        while not group.settled(power) and time.monotonic() - began < patience.seconds:
            state = group.in_words()
            if state != told:
                self.say(f"  {time.monotonic() - began:3.0f} s  {state}")
                told = state
            time.sleep(min(patience.every, max(0.0, began + patience.seconds - time.monotonic())))
            group = self._group()
        return group


def _listed(alarms: Iterable[str]) -> str:
    return " and ".join(alarms)
