"""Back up: capture, plan, put the snapshot, commit it, then bring `latest/` up to date.

The order is the promise: until the snapshot's manifest is there, the old restore points stand untouched; once it is
there, the new one stands, however torn `latest/` may be.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from openclaw_agent import AGENT_VERSION
from openclaw_agent.bucket_layout import DAMAGED_PREFIX, LATEST_MANIFEST_KEY, QUARANTINED_FILE
from openclaw_agent.capture import Capture, capture_state
from openclaw_agent.commit_plan import differs, plan_latest, plan_latest_anew, plan_snapshot
from openclaw_agent.errors import (
    AgentError,
    DatabaseDamaged,
    ObjectMissing,
    Refused,
)
from openclaw_agent.exclusions import Exclusions
from openclaw_agent.freezer import Freezer
from openclaw_agent.guards import shrink_refusal
from openclaw_agent.instance_metadata import boot_id, instance_id
from openclaw_agent.latest_guard import LatestGuard
from openclaw_agent.local_memory import BootRecord, LatestRecord, LocalMemory
from openclaw_agent.manifest import DamagedDatabase, Entry, EntryKind, Manifest
from openclaw_agent.manifest_text import encode_manifest
from openclaw_agent.object_store import ObjectStore
from openclaw_agent.owner_record_store import claim_ownership, read_ownership
from openclaw_agent.ownership import OWNER_KEY, Liveness
from openclaw_agent.restore_workspace import remove_previous_states
from openclaw_agent.run_log import RunLog
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot_names import (
    LATEST_PREFIX,
    MANIFEST_FILE,
    parse_snapshot_name,
    snapshot_manifest_key,
    snapshot_prefix,
)
from openclaw_agent.snapshot_reservation import reserve_name
from openclaw_agent.transfers import Upload

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """What the caller asks beyond the ordinary."""

    full: bool = False
    accept_shrink: bool = False
    overwrite_latest: bool = False
    # Restore saves the local state it is about to replace; such a snapshot is never a restore point of the main line.
    quarantine: str = ""


def utc_now() -> datetime:
    """The clock of a real run."""
    return datetime.now(UTC)


class Backup:
    """One run. The lock must be held."""

    def __init__(
        self, settings: Settings, store: ObjectStore, freezer: Freezer, log: RunLog, clock: Clock = utc_now
    ) -> None:
        self._settings = settings
        self._store = store
        self._freezer = freezer
        self._log = log
        self._clock = clock
        self._memory = LocalMemory(settings.agent_dir)
        self._me = instance_id()
        self._files_before: int | None = None

    def run(self, options: BackupOptions) -> str:
        """Back up once; return "done" or "unchanged".

        Raises:
            Refused, NotOwner: by a guard; what was captured lies in a quarantined snapshot, `latest/` is untouched.
            DatabaseDamaged: the state was backed up, but a database in it is damaged.
            AgentError: failed; the restore points that were there are untouched.
        """
        # What is kept aside is so before the restore that is required of every other backup.
        boot = (self._memory.boot() if options.quarantine else None) or self._require_restored()
        base = self._memory.base()
        self._files_before = base.counted().file_count if base else None
        try:
            return self._run_against(base, boot, options)
        except ObjectMissing as missing:
            # The last snapshot's objects are gone (deleted by hand): nothing can be copied, so everything is sent.
            self._log.say(f"{missing} Sending everything again.")
            self._log.add(base_missing=missing.key)
            return self._run_against(None, boot, options)
        finally:
            self._memory.drop_clone()

    def _require_restored(self) -> BootRecord:
        boot = self._memory.boot()
        mine = boot is not None and boot.bucket == self._settings.bucket and boot.instance_id == self._me
        if boot is not None and mine and boot.boot_id == boot_id() and boot.restored:
            return boot
        if self._memory.base() is None and self._bucket_is_unused():
            return self._adopt_unused_bucket()
        raise Refused(
            f"No backup before a restore: since this machine booted, nothing was restored from "
            f"{self._settings.bucket}; run openclaw-s3-restore.py --boot first."
        )

    def _bucket_is_unused(self) -> bool:
        keys = [row.key for row in self._store.list("", most=2)]
        if keys == [OWNER_KEY]:
            # This machine's own first backup may have been cut off right after its claim.
            owner = read_ownership(self._store)
            return owner is not None and owner.record.instance_id == self._me
        return not keys

    def _adopt_unused_bucket(self) -> BootRecord:
        if not self._settings.state_dir.is_dir() or not any(self._settings.state_dir.iterdir()):
            raise Refused(
                f"The state folder {self._settings.state_dir} is empty or missing, and so is the bucket: "
                "there is nothing to back up yet."
            )
        owner = claim_ownership(self._store, self._me, lambda _id: Liveness.UNKNOWN, self._log.say)
        record = BootRecord(boot_id(), self._me, self._settings.bucket, owner.epoch, restored=True)
        self._memory.write_boot(record)
        return record

    def _run_against(self, base: Manifest | None, boot: BootRecord, options: BackupOptions) -> str:
        now = self._clock()
        capture = capture_state(
            self._settings.state_dir,
            base,
            Exclusions(self._settings.excludes),
            self._freezer,
            self._memory.fresh_clone_dir(),
            freeze_budget=self._settings.freeze_budget,
            reread_all=options.full,
        )
        self._log_capture(capture)
        guard = LatestGuard(self._store, self._memory, boot)
        asked_for = options.quarantine or options.overwrite_latest
        if base is not None and not asked_for and not self._is_due(capture, base, now):
            refusal = guard.refusal(base, overwrite=False)
            if refusal is not None:
                raise refusal
            if capture.clones:
                # What was too young to be trusted, or touched, has proved to be as it was: it is not read again.
                self._memory.remember_base(replace(base, entries=tuple(capture.entries)))
            self._log.say("Nothing has changed since the last backup.")
            self._fail_if_damaged(capture)
            return "unchanged"
        shrink = None if options.accept_shrink else self._shrink(capture)
        return self._commit(capture, base, boot, guard, options, now, shrink)

    def _shrink(self, capture: Capture) -> str | None:
        if self._files_before is None and capture.file_count == 0 and any(self._store.list(LATEST_PREFIX, most=1)):
            # What is there may be an upload by hand, which no snapshot of ours holds.
            return "the state folder is empty, latest/ is not"
        return shrink_refusal(capture.file_count, self._files_before)

    def _log_capture(self, capture: Capture) -> None:
        self._log.add(
            files=capture.file_count,
            bytes_read=capture.bytes_read,
            capture=capture.method.value,
            freeze_ms=round(capture.freeze_ms, 1),
        )
        if capture.live_because:
            self._log.add(live_because=capture.live_because)

    def _is_due(self, capture: Capture, base: Manifest, now: datetime) -> bool:
        last = parse_snapshot_name(base.snapshot)
        if last is None or last.date() != now.date():
            # The first snapshot of a UTC day stands for that day in the daily tier.
            return True
        if self._memory.latest_may_be_torn or {row.path for row in capture.damaged} != {
            row.path for row in base.damaged
        }:
            return True
        return differs(capture.entries, base.entries)

    def _commit(
        self,
        capture: Capture,
        base: Manifest | None,
        boot: BootRecord,
        guard: LatestGuard,
        options: BackupOptions,
        now: datetime,
        shrink: str | None,
    ) -> str:
        name = reserve_name(self._store, now, boot)
        manifest = self._manifest(capture, base, boot, name, now)
        self._log.add(snapshot=name, epoch=boot.epoch)
        self._put_objects(capture, base, manifest)
        refusal: AgentError | None = None
        if shrink is not None:
            refusal = Refused(
                f"Refused to replace latest/: {shrink}. What is there is kept as snapshot {name}; if this is meant, "
                "run openclaw-s3-backup.py --accept-shrink, else openclaw-s3-restore.py --force."
            )
        if options.quarantine:
            refusal = None
            manifest = replace(manifest, quarantined=options.quarantine)
        else:
            refusal = guard.refusal(base, overwrite=options.overwrite_latest) or refusal
            if refusal is not None:
                manifest = replace(manifest, quarantined=str(refusal))
        if manifest.quarantined:
            self._store.put(snapshot_prefix(name) + QUARANTINED_FILE, manifest.quarantined.encode())
        self._put_manifest(snapshot_manifest_key(name), manifest)
        if refusal is not None:
            raise refusal
        if options.quarantine:
            self._log.say(f"The state was kept aside as snapshot {name}: {options.quarantine}.")
            return "done"
        self._update_latest(manifest, None if options.overwrite_latest else base, guard)
        remove_previous_states(self._settings.state_dir)
        self._log.say(f"Backed up as snapshot {name}.")
        self._fail_if_damaged(capture)
        return "done"

    def _manifest(
        self, capture: Capture, base: Manifest | None, boot: BootRecord, name: str, now: datetime
    ) -> Manifest:
        return Manifest(
            snapshot=name,
            created=now.isoformat(timespec="seconds"),
            epoch=boot.epoch,
            instance_id=boot.instance_id,
            stack=self._settings.stack,
            method=capture.method,
            freeze_ms=capture.freeze_ms,
            entries=tuple(capture.entries),
            excluded=tuple(capture.excluded),
            skipped=tuple(capture.skipped),
            damaged=tuple(
                DamagedDatabase(row.path, row.problem, _stored_as(row.path), base.snapshot if base else "")
                for row in capture.damaged
            ),
            agent_version=AGENT_VERSION,
        )

    def _put_objects(self, capture: Capture, base: Manifest | None, manifest: Manifest) -> None:
        plan = plan_snapshot(manifest, base, capture.clones)
        damaged: list[Upload] = []
        for damage in capture.damaged:
            key = snapshot_prefix(manifest.snapshot) + _stored_as(damage.path)
            damaged.append(Upload(damage.clone, key, damage.clone.stat().st_size))
            log = damage.clone.with_name(damage.clone.name + "-wal")
            if log.exists():
                damaged.append(Upload(log, key + "-wal", log.stat().st_size))
        self._log.add(uploaded_files=len(plan.uploaded) + len(damaged), copied_files=len(plan.copied))
        self._store.copy(plan.copies())
        self._store.upload(itertools.chain(plan.uploads(), damaged))

    def _update_latest(self, manifest: Manifest, base: Manifest | None, guard: LatestGuard) -> None:
        if base is None or self._memory.latest_may_be_torn:
            left_behind = self._memory.left_behind()
            present = (row.key for row in self._store.list(LATEST_PREFIX) if row.key not in left_behind)
            plan = plan_latest_anew(manifest, present, LATEST_MANIFEST_KEY)
        else:
            plan = plan_latest(manifest, base)
        self._memory.latest_is_being_written(manifest.snapshot)
        self._store.copy(plan.copies())
        refused = self._store.delete(plan.deletions)
        if refused:
            key, reason = next(iter(refused.items()))
            raise AgentError(
                f"S3 refused to delete {len(refused)} objects under latest/, {key!r} among them ({reason})."
            )
        etag = guard.commit(
            manifest, lambda seen_etag: self._put_manifest(LATEST_MANIFEST_KEY, manifest, if_match=seen_etag)
        )
        record = LatestRecord(self._settings.bucket, etag)
        self._memory.remember(manifest, record, latest_holds_base=True, snapshot_holds_base=True)

    def _put_manifest(self, key: str, manifest: Manifest, *, if_match: str | None = None) -> str:
        text: Path = self._memory.clone_dir / MANIFEST_FILE
        if not text.exists():
            with text.open("wb") as out:
                for chunk in encode_manifest(manifest):
                    out.write(chunk)
        return self._store.put_file(key, text, if_match=if_match)

    def _fail_if_damaged(self, capture: Capture) -> None:
        if capture.damaged:
            first = capture.damaged[0]
            more = f" (and {len(capture.damaged) - 1} more)" if len(capture.damaged) > 1 else ""
            raise DatabaseDamaged(
                f"The database {first.path!r}{more} fails its check: {first.problem}. Everything else is backed up, "
                "latest/ keeps the last good copy of it; repair it or bring it back with "
                f"openclaw-s3-restore.py --path {first.path}."
            )


def _stored_as(path: str) -> str:
    return DAMAGED_PREFIX + Entry(path, EntryKind.FILE, 0, 0, 0, 0).relative_key.replace("/", "_")
