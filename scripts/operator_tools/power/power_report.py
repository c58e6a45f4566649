"""What a switch has led to, in a sentence for people and in a document for programs. Pure."""

from typing import TYPE_CHECKING

from operator_tools.power.group_state import Power

if TYPE_CHECKING:
    from operator_tools.power.switching import Outcome, Switch


def closing_sentence(power: Power, stack: str, outcome: "Outcome") -> str:
    """Return what is so now, and what comes next."""
    if not outcome.settled:
        return (
            f"AWS has accepted it and is at work ({outcome.group.in_words()}); "
            f"make {power.value} STACK={stack} waits until it is done."
        )
    if power is Power.PAUSE:
        return (
            f"{stack} is paused: no instance runs, and the backups stay in S3. `make up` leaves it paused; "
            f"make resume STACK={stack} brings it back."
        )
    return (
        f"{stack} has an instance in service. It restores by itself, and the gateway follows in some minutes; "
        f"make outputs STACK={stack} says how to connect. After a pause of an hour or more its alarms send OK "
        "with the first good backup."
    )


def too_slow_sentence(power: Power, stack: str, outcome: "Outcome", complaint: str) -> str:
    """Return what was not reached in time, and why, as far as AWS gives a reason."""
    reason = f" AWS says: {complaint}" if complaint else ""
    return (
        f"{stack} is not {power.done} after {outcome.waited_seconds:.0f} s ({outcome.group.in_words()}); "
        f"the group goes on by itself, and make {power.value} STACK={stack} waits again.{reason}"
    )


def power_document(switch: "Switch", power: Power, outcome: "Outcome") -> dict[str, object]:
    """Return the outcome for `json.dumps`; `settled` says whether the group is where it was to be."""
    return {
        "stack": switch.place.stack,
        "region": switch.region,
        "group": switch.place.group,
        "action": power.value,
        "changed": outcome.changed,
        "desired": outcome.group.desired,
        "instances": [{"id": each.instance_id, "state": each.state} for each in outcome.group.members],
        "settled": outcome.settled,
        "waited_seconds": round(outcome.waited_seconds, 1),
        "alarms": [{"name": name, "actions_enabled": outcome.alarms.get(name)} for name in switch.alarms],
    }
