"""Watch the metadata service for the end of the instance: a notice stops the gateway and saves everything.

A rebalance recommendation only asks for a backup now: most are never followed by an interruption. Each question is
asked by itself, at its own pace: one that hangs, fails or is answered by nonsense neither delays nor drops another.
"""

import json
import logging
import queue
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from openclaw_agent.host.lifecycle_hook import holding
from openclaw_agent.host.metadata import (
    INTERRUPTION_PATH,
    LIFECYCLE_PATH,
    REBALANCE_PATH,
    InstanceMetadata,
    MetadataUnavailable,
)
from openclaw_agent.host.units import BACKUP_UNIT, FINAL_UNIT, GATEWAY_UNIT, start_command, stop_command
from openclaw_agent.run_record import RunRecord

_log = logging.getLogger(__name__)

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


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a response, and the seconds after which it no longer keeps the next one from running."""

    command: Sequence[str]
    seconds: float


# Stopping the final unit's start action means running its backup; the units' own order stops the gateway first. Each
# step is given a little more than its unit's TimeoutStopSec=; systemd goes on with the job of one that was given up.
STOP_AND_SAVE = (Step(stop_command(GATEWAY_UNIT), 65), Step(stop_command(FINAL_UNIT), 310))
RESPONSES: dict[EventKind, Sequence[Step]] = {
    EventKind.INTERRUPTION: STOP_AND_SAVE,
    EventKind.TERMINATION: STOP_AND_SAVE,
    EventKind.REBALANCE: (Step(start_command(BACKUP_UNIT, wait=False), 10),),
}


def _interruption(text: str) -> Event | None:
    return Event(EventKind.INTERRUPTION, text) if _names(text, "action") else None


def _termination(text: str) -> Event | None:
    return Event(EventKind.TERMINATION, text) if text == "Terminated" else None


def _rebalance(text: str) -> Event | None:
    return Event(EventKind.REBALANCE, text) if _names(text, "noticeTime") else None


def _names(text: str, field: str) -> bool:
    try:
        return isinstance(json.loads(text).get(field), str)
    except (ValueError, AttributeError, RecursionError):
        return False


QUESTIONS: Mapping[str, Callable[[str], Event | None]] = {
    INTERRUPTION_PATH: _interruption,
    LIFECYCLE_PATH: _termination,
    REBALANCE_PATH: _rebalance,
}
"""Each path, and how its answer is read: an event, or nothing that need be acted on."""


def ask(metadata: InstanceMetadata, path: str) -> Event | None:
    """Ask one question once.

    Raises:
        MetadataUnavailable: when it was not answered.
    """
    text = metadata.get(path)
    return None if text is None else QUESTIONS[path](text)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at everything has found: the events, and which questions went unanswered."""

    events: tuple[Event, ...]
    unanswered: tuple[MetadataUnavailable, ...]


def look(endpoint: str | None = None) -> Look:
    """Ask once for everything that may be announced."""
    events, unanswered = [], []
    with ThreadPoolExecutor(len(QUESTIONS)) as asking:
        for answer in [asking.submit(ask, InstanceMetadata(endpoint), path) for path in QUESTIONS]:
            try:
                event = answer.result()
            except MetadataUnavailable as problem:
                unanswered.append(problem)
            else:
                events += [event] if event is not None else []
    return Look(tuple(events), tuple(unanswered))


def run_step(step: Step) -> int | None:
    """Run one step of a response and return its exit code, None where it took too long."""
    try:
        return subprocess.run(step.command, check=False, timeout=step.seconds).returncode  # noqa: S603 - of RESPONSES
    except subprocess.TimeoutExpired:
        return None


_Heard = queue.SimpleQueue[tuple[str, Event | MetadataUnavailable | None]]


def watch(
    record: RunRecord,
    endpoint: str | None = None,
    run: Callable[[Step], int | None] = run_step,
    every: float = POLL_SECONDS,
) -> Event:
    """Ask on until the instance is about to end, respond, and return the event that ended it."""
    heard: _Heard = queue.SimpleQueue()
    over = threading.Event()
    for path in QUESTIONS:
        # A client each: a token that is waited for, or refused, holds up one question alone.
        asking = (InstanceMetadata(endpoint), path, heard, over, every)
        threading.Thread(target=_ask_on, args=asking, name=path.rsplit("/", 1)[-1], daemon=True).start()
    try:
        return _respond_until_the_end(heard, record, run)
    finally:
        over.set()


def _ask_on(metadata: InstanceMetadata, path: str, heard: _Heard, over: threading.Event, every: float) -> None:
    while not over.is_set():
        try:
            heard.put((path, ask(metadata, path)))
            metadata.keep_fresh()
        except MetadataUnavailable as problem:
            heard.put((path, problem))
        except Exception as problem:  # noqa: BLE001 - a question that is asked no more would miss the notice
            heard.put((path, MetadataUnavailable(f"{path} could not be asked ({type(problem).__name__}: {problem}).")))
        over.wait(every)


def _respond_until_the_end(heard: _Heard, record: RunRecord, run: Callable[[Step], int | None]) -> Event:
    seen: set[Event] = set()
    failures = dict.fromkeys(QUESTIONS, 0)
    while True:
        path, answer = heard.get()
        if isinstance(answer, MetadataUnavailable):
            failures[path] += 1
            if failures[path] % QUIET_FAILURES == 1:
                _log.warning("%s Watching on.", answer)
            continue
        failures[path] = 0
        if answer is None or answer in seen:
            continue
        seen.add(answer)
        if answer.kind is EventKind.REBALANCE:
            respond(answer, record, run)
            continue
        # Of either kind: a group may end an instance that is interrupted too.
        with holding(record.settings):
            respond(answer, record, run)
        return answer


def respond(event: Event, record: RunRecord, run: Callable[[Step], int | None]) -> None:
    """Do what the table says for an event; a step that fails or hangs does not keep the next from running."""
    _log.info("The metadata service announces %s: %s", event.kind.value, event.text)
    for step in RESPONSES[event.kind]:
        problem = _run(step, run)
        if problem:
            _log.warning("%s %s; going on.", " ".join(step.command), problem)
    record.add(event=event.kind.value, announced=event.text)


def _run(step: Step, run: Callable[[Step], int | None]) -> str:
    """What went wrong with a step, in a few words; nothing where it went well."""
    try:
        code = run(step)
    except OSError as problem:
        return f"cannot be run ({problem.strerror})"
    if code is None:
        return f"has not ended within {step.seconds:g} s"
    return f"ended with exit code {code}" if code else ""
