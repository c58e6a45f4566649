"""What `pause` and `resume` do, in which order, and what they say on the way."""

import time
from collections.abc import Callable
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
    """How a switch ended: whether anything was changed, whether the group is there yet, and after how long."""

    changed: bool
    group: GroupState
    settled: bool
    waited_seconds: float
    alarm_speaks: bool | None


@dataclass(frozen=True, slots=True)
class Switch:
    """One stack's power button.

    Args:
        place: the stack and its group; `region` is where they were looked for.
        alarm: the alarm that an absent instance sets off.
        say: takes one line for the user.
    """

    place: Place
    region: str
    alarm: str
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
        speaks = self._let_alarm(power) if power is Power.RESUME else None
        if changed:
            self.calls.set_desired(power.desired)
        if power is Power.PAUSE:
            speaks = self._let_alarm_after_pause()
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

    def _let_alarm(self, power: Power) -> bool | None:
        speaks = self.calls.alarm_speaks()
        wanted = power is Power.RESUME
        if speaks is None:
            self.say(f"There is no alarm {self.alarm}; nothing to {'switch on' if wanted else 'silence'}.")
            return None
        if speaks is not wanted:
            self.calls.let_alarm_speak(wanted)
            self.say(
                f"The alarm {self.alarm} tells again."
                if wanted
                else f"The alarm {self.alarm} is silent until make resume; all other alarms stay on."
            )
        return wanted

    def _let_alarm_after_pause(self) -> bool | None:
        try:
            return self._let_alarm(Power.PAUSE)
        except AccountError as error:
            raise AccountError(
                f"{self.place.stack} is being paused, but its alarm {self.alarm} could not be silenced and will tell "
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
