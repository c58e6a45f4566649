"""Watch the metadata service for the end of the instance: a notice stops the gateway and saves everything.

A rebalance recommendation only asks for a backup now: most are never followed by an interruption.
"""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from openclaw_agent.host.metadata import (
    INTERRUPTION_PATH,
    LIFECYCLE_PATH,
    REBALANCE_PATH,
    InstanceMetadata,
    MetadataUnavailable,
)
from openclaw_agent.host.units import BACKUP_UNIT, FINAL_UNIT, GATEWAY_UNIT, start_command, stop_command
from openclaw_agent.run_log import RunLog

POLL_SECONDS = 5.0  # what AWS advises for the interruption notice
QUIET_FAILURES = 12


class EventKind(StrEnum):
    """What the metadata service may announce."""

    INTERRUPTION = "interruption"
    TERMINATION = "termination"
    REBALANCE = "rebalance"


@dataclass(frozen=True, slots=True)
class Event:
    """An announcement; its text stands for the id that the service does not give, so that a repetition acts once."""

    kind: EventKind
    text: str


# Stopping the final unit's start action means running its backup; the units' own order stops the gateway first.
RESPONSES: dict[EventKind, Sequence[Sequence[str]]] = {
    EventKind.INTERRUPTION: (
        stop_command(GATEWAY_UNIT),
        stop_command(FINAL_UNIT),
    ),
    EventKind.TERMINATION: (
        stop_command(GATEWAY_UNIT),
        stop_command(FINAL_UNIT),
    ),
    EventKind.REBALANCE: (start_command(BACKUP_UNIT, wait=False),),
}


def look(metadata: InstanceMetadata) -> list[Event]:
    """Ask once for everything that may be announced.

    Raises:
        MetadataUnavailable: when the service does not answer.
    """
    events = []
    interruption = metadata.get(INTERRUPTION_PATH)
    if interruption is not None and _names_an_action(interruption):
        events.append(Event(EventKind.INTERRUPTION, interruption))
    lifecycle = metadata.get(LIFECYCLE_PATH)
    if lifecycle == "Terminated":
        events.append(Event(EventKind.TERMINATION, lifecycle))
    rebalance = metadata.get(REBALANCE_PATH)
    if rebalance is not None:
        events.append(Event(EventKind.REBALANCE, rebalance))
    return events


def _names_an_action(text: str) -> bool:
    try:
        return isinstance(json.loads(text).get("action"), str)
    except (ValueError, AttributeError):
        return False


def run_command(command: Sequence[str]) -> int:
    """Run one response and return its exit code."""
    return subprocess.run(command, check=False).returncode  # noqa: S603 - fixed commands of RESPONSES


def watch(
    metadata: InstanceMetadata,
    log: RunLog,
    run: Callable[[Sequence[str]], int] = run_command,
    sleep: Callable[[float], None] = time.sleep,
) -> Event:
    """Poll until the instance is about to end, respond, and return the event that ended it."""
    seen: set[Event] = set()
    failures = 0
    while True:
        try:
            events = look(metadata)
            failures = 0
        except MetadataUnavailable as problem:
            failures += 1
            if failures % QUIET_FAILURES == 1:
                log.say(f"{problem} Watching on.")
            events = []
        for event in events:
            if event in seen:
                continue
            seen.add(event)
            respond(event, log, run)
            if event.kind is not EventKind.REBALANCE:
                return event
        sleep(POLL_SECONDS)


def respond(event: Event, log: RunLog, run: Callable[[Sequence[str]], int]) -> None:
    """Do what the table says for an event; a step that fails does not keep the next from running."""
    log.say(f"The metadata service announces {event.kind.value}: {event.text}")
    for command in RESPONSES[event.kind]:
        code = run(command)
        if code != 0:
            log.say(f"{' '.join(command)} ended with exit code {code}; going on.")
    log.add(event=event.kind.value, announced=event.text)
