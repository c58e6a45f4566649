"""What every workflow needs: one machine, one bucket, one clock; made once, at the command's edge."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from openclaw_agent.agent_dir.folder import AgentDir
from openclaw_agent.agent_dir.records import Records
from openclaw_agent.host.identity import boot_id, instance_id
from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import Settings
from openclaw_agent.state_dir.exclusions import Exclusions
from openclaw_agent.state_dir.late_flags import give_noted_flags
from openclaw_agent.state_dir.swap import finish_interrupted_swap
from openclaw_agent.store.bucket import Bucket
from openclaw_agent.store.credentials import AT_ONCE, PATIENT

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of a real run."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one command on one machine and one bucket; `record` takes the facts for the log line."""

    settings: Settings
    bucket: Bucket
    agent_dir: AgentDir
    exclusions: Exclusions
    boot_id: str
    clock: Clock
    record: RunRecord

    @property
    def records(self) -> Records:
        """What the agent remembers on this machine."""
        return self.agent_dir.records

    @contextlib.contextmanager
    def locked(self, *, wait: bool) -> Iterator[None]:
        """Hold the machine's one lock; a restore that was cut off while it swapped is finished before anything else.

        Raises:
            Refused: when another run holds it and `wait` is false.
            LocalStorageError: when what was cut off cannot be finished.
        """
        with self.agent_dir.locked(wait=wait):
            for finish in (finish_interrupted_swap, give_noted_flags):
                if finished := finish(self.agent_dir.aside):
                    _log.warning("%s", finished)
            yield

    def instance_id(self) -> str:
        """This machine's id; asks the metadata service, which only what writes to the bucket may depend on.

        Raises:
            MetadataUnavailable: when the metadata service of an instance does not answer.
        """
        return instance_id(self.settings)


@contextlib.contextmanager
def open_session(
    settings: Settings, record: RunRecord, clock: Clock = utc_now, *, patient: bool = False
) -> Iterator[Session]:
    """The session of a run; at its end the traffic with S3 goes into the record.

    A `patient` one, which comes only once, waits for AWS credentials that come late.
    """
    bucket = Bucket(
        settings.bucket,
        settings.region,
        attempts=settings.s3_attempts,
        stall_seconds=settings.s3_stall_seconds,
        credentials=PATIENT if patient else AT_ONCE,
    )
    try:
        yield Session(
            settings=settings,
            bucket=bucket,
            agent_dir=AgentDir(settings.agent_dir),
            exclusions=Exclusions(settings.excludes),
            boot_id=boot_id(),
            clock=clock,
            record=record,
        )
    finally:
        record.add(**bucket.traffic.facts())
