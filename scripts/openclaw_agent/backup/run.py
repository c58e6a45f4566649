"""Back up: capture, plan, put the snapshot, commit it, then bring `latest/` up to date.

The order is the promise: until the snapshot's manifest is there, the old restore points stand as they were; once it is
there, the new one stands, even where `latest/` is partially written.
"""

import contextlib
import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from pathlib import Path

from openclaw_agent import AGENT_VERSION
from openclaw_agent.agent_dir.records import BaseHeld, BootRecord, LatestRecord
from openclaw_agent.backup.base import NOTHING_KNOWN, LastBackup, is_due
from openclaw_agent.backup.daily_budget import DailyBudget, Spending, planned_spending
from openclaw_agent.backup.damage import describe_damage, uploads_as_found
from openclaw_agent.backup.gaps import gap_facts, gaps_error, gaps_of, is_in_a_gap, recorded
from openclaw_agent.backup.latest_guard import LatestGuard, LatestVerdict
from openclaw_agent.backup.layout import choose_bases, is_first_of_its_day, take_stock
from openclaw_agent.backup.outcome import SKIPPED_METRIC, BackupOutcome, BackupResult
from openclaw_agent.backup.plan import plan_latest, plan_latest_in_full, plan_snapshot, where_they_lie
from openclaw_agent.backup.precondition import require_restored_boot
from openclaw_agent.backup.reservation import reserve_name
from openclaw_agent.backup.shrink_guard import comparable_files, shrink_refusal
from openclaw_agent.backup.skipped import LeftOnDisk, left_on_disk
from openclaw_agent.backup.state_marker import mark_bucket
from openclaw_agent.capture.capture import Capture, capture_state
from openclaw_agent.catalog.completeness import holds_all
from openclaw_agent.errors import AgentError, ObjectMissing, Refused, SourcesUnavailable, StoreError
from openclaw_agent.fs.atomic import replace_file
from openclaw_agent.host.freezer import Freezer
from openclaw_agent.session import Session
from openclaw_agent.snapshot.codec import encode_manifest, require_readable
from openclaw_agent.snapshot.keys import (
    LATEST_MANIFEST_KEY,
    LATEST_PREFIX,
    MANIFEST_FILE,
    QUARANTINED_FILE,
    snapshot_key,
    snapshot_manifest_key,
    snapshot_prefix,
)
from openclaw_agent.snapshot.manifest import Gap, Manifest, SnapshotId
from openclaw_agent.snapshot.names import DAY_LENGTH, format_snapshot_name
from openclaw_agent.state_dir.limits import GIB, StateLimits
from openclaw_agent.state_dir.put_aside import remove_put_aside
from openclaw_agent.store.cost import StoragePlan, kept_for_a_day_cost, request_cost
from openclaw_agent.store.manifests import BaseLooks
from openclaw_agent.store.transfers import Copy

_log = logging.getLogger(__name__)
# Objects that cannot be copied are told all at once: of the snapshot, then of latest/; and missing ones one by one.
MOST_RUNS = 6
# A spot notice gives 120 s, of which the gateway's stop may take 55: what is not judged by then is sent all the same.
FINAL_CHECK_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """What the caller asks beyond the ordinary.

    `full` reads and sends every file, and writes `latest/` anew; `overwrite_latest` does the latter, whatever is there.
    `accept_gaps` are paths (gaps, or folders in which some lie) that no longer fail a backup.
    """

    full: bool = False
    accept_shrink: bool = False
    overwrite_latest: bool = False
    accept_gaps: tuple[str, ...] = ()
    # A restore quarantines the local state it is about to replace; such a snapshot is never one of the main line.
    quarantine: str = ""
    # The last one before the machine goes: what it holds counts for more than what is known of it.
    final: bool = False

    @property
    def asks_for_a_snapshot(self) -> bool:
        """Whether there must be one though nothing has changed."""
        return self.full or self.overwrite_latest or bool(self.quarantine)


class Backup:
    """One run. The lock must be held."""

    def __init__(self, session: Session, freezer: Freezer) -> None:
        self._session = session
        self._settings = session.settings
        self._bucket = session.bucket
        self._agent_dir = session.agent_dir
        self._records = session.records
        self._record = session.record
        self._freezer = freezer

    def run(self, options: BackupOptions) -> BackupResult:
        """Back up once.

        Raises:
            OverBudget: the day's budget is spent; nothing was written.
            Refused, NotOwner: by a guard; what was captured lies in a quarantined snapshot, `latest/` is untouched.
            DoneWithGaps: the state was backed up, but for what could not be had as it is and nobody has accepted.
            UsageError: what is to be accepted is no gap; nothing was written.
            AgentError: failed; the restore points that were there are untouched.
        """
        # A quarantine comes before the restore that is required of every other backup.
        boot = (self._records.boot() if options.quarantine else None) or require_restored_boot(self._session)
        try:
            return self._run_with_what_is_left(boot, options)
        finally:
            self._agent_dir.drop_clone()

    def _run_with_what_is_left(self, boot: BootRecord, options: BackupOptions) -> BackupResult:
        last = self._last_backup()
        # First the last snapshot's objects are gone (deleted by hand), so that nothing can be copied from it; then the
        # last good copy of a damaged database is gone from latest/ too.
        without_snapshot = (
            replace(last, snapshot_holds_it=False, latest_is_doubted=True)
            if last.latest_holds_it
            else last.known_nowhere()
        )
        rest = iter((without_snapshot, last.known_nowhere()))
        for _run in range(MOST_RUNS):
            try:
                return self._run_against(last, boot, options)
            except SourcesUnavailable as problem:
                _log.warning("%s", problem)
                last = last.without(problem.keys)
            except ObjectMissing as missing:
                less = next(rest, None)
                if less is None:
                    raise
                _log.warning("%s Sending everything again.", missing)
                self._record.add(base_missing=missing.key)
                # Who deletes there may have deleted under latest/ too.
                self._records.doubt_latest()
                last = less
        return self._run_against(last, boot, options)

    def _last_backup(self) -> LastBackup:
        base = self._records.base()
        if base is None:
            return NOTHING_KNOWN
        latest = self._records.latest()
        here = latest is not None and latest.bucket == self._settings.bucket
        known = LastBackup(
            base,
            snapshot_holds_it=self._records.may_copy_from(base, self._settings.bucket)
            and self._records.doubted_snapshots().isdisjoint((base.snapshot, *(row.snapshot for row in base.bases))),
            latest_holds_it=here and not self._records.latest_may_be_partial,
            files=base.totals().files,
            latest_is_doubted=self._records.latest_is_doubted,
        )
        return known if known.snapshot_holds_it or known.latest_holds_it else known.known_nowhere()

    def _run_against(self, last: LastBackup, boot: BootRecord, options: BackupOptions) -> BackupResult:
        now = self._session.clock()
        capture = capture_state(
            self._settings.state_dir,
            last.manifest,
            self._session.exclusions,
            self._freezer,
            self._agent_dir.fresh_clone_dir(),
            freeze_budget=self._settings.freeze_budget,
            limits=StateLimits(self._settings.max_file_gib * GIB, self._settings.max_entries, self._settings.max_depth),
            # What cannot be copied must be read, to be sent.
            reread_all=options.full or not last.snapshot_holds_it,
            check_seconds=FINAL_CHECK_SECONDS if options.final else None,
        )
        gaps = gaps_of(capture, last.manifest, options.accept_gaps)
        self._log_capture(capture)
        self._record.add(**gap_facts(gaps))
        left = left_on_disk(capture, self._settings.state_dir)
        self._tell_what_is_left(left)
        guard = LatestGuard(self._bucket, self._records, boot)
        if last.manifest is not None and not options.asks_for_a_snapshot and not is_due(capture, gaps, last, now):
            return self._leave_as_it_is(capture, replace(last.manifest, gaps=recorded(gaps)), gaps, guard)
        with self._within_budget(capture, options, now):
            return self._commit(capture, gaps, left, last, boot, guard, options, now)

    def _tell_what_is_left(self, left: LeftOnDisk) -> None:
        self._record.add(skipped=len(left.skipped))
        self._record.count(SKIPPED_METRIC, len(left.skipped))
        if left.digest != self._records.told_skipped():
            if sentence := left.sentence():
                _log.warning("%s", sentence)
            self._records.remember_told_skipped(left.digest)

    def _leave_as_it_is(
        self, capture: Capture, base: Manifest, gaps: tuple[Gap, ...], guard: LatestGuard
    ) -> BackupResult:
        verdict = guard.verdict(base, overwrite=False)
        self._record_own_commit(verdict)
        if verdict.refusal is not None:
            raise verdict.refusal
        if capture.clones or any(entry.attributes is None for entry in base.entries):
            # What was too young to be trusted, or touched, has proved to be as it was: it is not read again. Nor are
            # attributes for which an older agent did not look.
            self._records.remember_base(replace(base, entries=where_they_lie(capture.entries, base)))
        mark_bucket(self._session, base)
        _log.info("Nothing has changed since the last backup.")
        _fail_where_it_must(base, gaps, capture)
        self._remove_put_aside()
        return BackupResult(BackupOutcome.UNCHANGED, base.snapshot, len(gaps))

    def _log_capture(self, capture: Capture) -> None:
        self._record.add(
            files=capture.file_count,
            bytes_read=capture.bytes_read,
            capture=capture.method.value,
            freeze_ms=round(capture.freeze_ms, 1),
        )
        _log.debug("Captured %d files (%s); read %d bytes.", capture.file_count, capture.method, capture.bytes_read)
        if capture.live_reason:
            self._record.add(live_reason=capture.live_reason)
        if capture.unverified:
            self._record.add(unverified=[row.path for row in capture.unverified])
        if capture.attributes_left_out:
            self._record.add(attributes_left_out=len(capture.attributes_left_out))
            first = capture.attributes_left_out[0]
            _log.warning(
                "Warning: %d attributes are not in the backup; of %r, the first: %s.",
                len(capture.attributes_left_out),
                first.path,
                first.reason,
            )
        for row in capture.unverified:
            _log.warning("Warning: the database %r could not be verified: %s.", row.path, row.reason)

    def _record_own_commit(self, verdict: LatestVerdict) -> None:
        """What this machine wrote, and was cut off before it could record it, is known from here on."""
        if verdict.is_own_commit:
            self._records.remember_latest(LatestRecord(self._settings.bucket, verdict.etag))

    def _shrink_refusal(self, capture: Capture, last: LastBackup, name: str, options: BackupOptions) -> Refused | None:
        if options.accept_shrink:
            return None
        before = last.files
        if before is None:
            # No memory of a backup: what latest/ holds may be an upload by hand, which no snapshot of ours holds.
            no_files = {LATEST_MANIFEST_KEY, *self._records.unrestorable()}
            keys = (row.key for row in self._bucket.list(LATEST_PREFIX))
            before = sum(1 for key in keys if not key.endswith("/") and key not in no_files)
        now = capture.file_count
        if last.manifest is not None:
            now, before = comparable_files(capture.entries, last.manifest, self._session.exclusions)
        shrink = shrink_refusal(now, before)
        if shrink is None:
            return None
        return Refused(
            f"Refused to replace latest/: {shrink}. What is there is kept as snapshot {name}; if this is meant, "
            "run openclaw-s3-backup.py --accept-shrink, else openclaw-s3-restore.py run --force."
        )

    @contextlib.contextmanager
    def _within_budget(self, capture: Capture, options: BackupOptions, now: datetime) -> Iterator[None]:
        """Let a run spend what the day has left; what it really spent is counted, however it ends."""
        spent = Spending(*self._records.spent()).on(now)
        planned = planned_spending(capture.entries, capture.clones, now)
        is_last = options.final or bool(options.quarantine)
        DailyBudget(self._settings.daily_limit_usd, self._settings.daily_limit_gib, is_last).require(spent, planned)
        self._records.remember_spent(*astuple(spent.plus(planned)))
        before = self._traffic_so_far(now)
        try:
            yield
        finally:
            # A run that is killed has spent what it planned, as far as anybody knows.
            after = self._traffic_so_far(now)
            real = Spending(spent.day, after.usd - before.usd, after.bytes - before.bytes)
            self._records.remember_spent(*astuple(spent.plus(real)))

    def _traffic_so_far(self, now: datetime) -> Spending:
        traffic = self._bucket.traffic
        size = traffic.uploaded_bytes + traffic.copied_bytes
        return Spending(now.date().isoformat(), request_cost(traffic.requests), size)

    def _commit(
        self,
        capture: Capture,
        gaps: tuple[Gap, ...],
        left: LeftOnDisk,
        last: LastBackup,
        boot: BootRecord,
        guard: LatestGuard,
        options: BackupOptions,
        now: datetime,
    ) -> BackupResult:
        last_name = last.manifest.snapshot if last.manifest else ""
        manifest = replace(
            self._manifest(capture, left, last, boot, format_snapshot_name(now), now), gaps=recorded(gaps)
        )
        bases = self._bases(manifest, last, options)
        name = reserve_name(self._bucket, now, boot, last_name, clock=self._session.clock)
        if bases and name[:DAY_LENGTH] != manifest.snapshot[:DAY_LENGTH]:
            # Midnight has passed while a free name was waited for.
            bases = self._bases(replace(manifest, snapshot=name), last, options)
        self._record.add(snapshot=name, epoch=boot.epoch, bases=[base.snapshot for base in bases])
        manifest = self._put_objects(capture, last, replace(manifest, snapshot=name, bases=bases), full=options.full)
        verdict: LatestVerdict | None = None
        refusal: AgentError | None = None
        if options.quarantine:
            manifest = replace(manifest, quarantined=options.quarantine)
        else:
            shrink = self._shrink_refusal(capture, last, name, options)
            verdict = guard.verdict(last.manifest, overwrite=options.overwrite_latest)
            self._record_own_commit(verdict)
            refusal = verdict.refusal or shrink
            if refusal is not None:
                manifest = replace(manifest, quarantined=str(refusal))
        if manifest.quarantined:
            self._bucket.put(snapshot_prefix(name) + QUARANTINED_FILE, manifest.quarantined.encode())
        text = self._agent_dir.clone_dir / MANIFEST_FILE
        replace_file(text, encode_manifest(manifest))
        with text.open("rb") as lines:
            require_readable(lines, manifest)
        self._bucket.put_file(snapshot_manifest_key(name), text)
        if refusal is not None:
            raise refusal
        if verdict is None:
            _log.info("Quarantined the state as snapshot %s: %s.", name, options.quarantine)
            return BackupResult(BackupOutcome.DONE, name)
        # Before latest/: an undelete to the moment at which that was whole finds it.
        mark_bucket(self._session, manifest)
        known = last.latest_is_whole and not (verdict.is_uncertain or options.full or options.overwrite_latest)
        self._update_latest(manifest, last.manifest if known else None, guard, verdict, text)
        _log.info("Backed up as snapshot %s.", name)
        _fail_where_it_must(manifest, gaps, capture)
        self._remove_put_aside()
        return BackupResult(BackupOutcome.DONE, name, len(gaps))

    def _remove_put_aside(self) -> None:
        """What a restore has put aside is needed no longer: S3 holds the state that took its place."""
        for sentence in remove_put_aside(self._agent_dir.aside, self._settings.state_dir):
            _log.warning("%s", sentence)

    def _manifest(
        self, capture: Capture, left: LeftOnDisk, last: LastBackup, boot: BootRecord, name: str, now: datetime
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
            excluded=left.named_excluded,
            skipped=left.named,
            skipped_count=len(left.skipped),
            damaged=describe_damage(capture.damaged, last.manifest),
            unrestorable=tuple(sorted(self._records.unrestorable())),
            agent_version=AGENT_VERSION,
        )

    @property
    def _storage_plan(self) -> StoragePlan:
        return StoragePlan(self._settings.backup_interval_minutes, budget_usd=self._settings.backup_budget_usd)

    def _bases(self, manifest: Manifest, last: LastBackup, options: BackupOptions) -> tuple[SnapshotId, ...]:
        """The bases of a differential snapshot, which are what they were; none for a whole one.

        Raises:
            ObjectMissing: when a snapshot that the last one lies in is gone, or is another one now.
        """
        source = last.copy_source
        if source is None or options.full or options.quarantine:
            return ()
        bases = choose_bases(manifest.snapshot, take_stock(manifest, source), source, self._storage_plan)
        if bases or source.bases:
            missing = BaseLooks(self._bucket).missing((*source.bases, source.identity))
            if missing:
                raise ObjectMissing(snapshot_manifest_key(missing))
        if bases and is_first_of_its_day(manifest.snapshot, bases):
            # Nothing of it is asked for otherwise: once a day what is referred to must be there.
            folder = snapshot_prefix(bases[0].snapshot)
            lying_there = ((snapshot_key(source.snapshot, row), row.size) for row in source.files())
            if not holds_all(self._bucket, (row for row in lying_there if row[0].startswith(folder)), [folder]):
                raise ObjectMissing(folder)
        return bases

    def _put_objects(self, capture: Capture, last: LastBackup, manifest: Manifest, *, full: bool) -> Manifest:
        """Bring the snapshot's objects into its folder; return the manifest that says where each file lies."""
        plan = plan_snapshot(
            manifest,
            last.copy_source,
            capture.clones,
            full=full,
            in_latest=last.manifest,
            folders=frozenset(base.snapshot for base in manifest.bases),
        )
        self._record.add(
            uploaded_files=len(plan.uploaded) + len(capture.damaged),
            copied_files=len(plan.copied) + len(plan.recovered),
        )
        self._copy_to_snapshot(plan.copies())
        self._bucket.upload(itertools.chain(plan.uploads(), uploads_as_found(capture.damaged, manifest.snapshot)))
        placed = replace(manifest, entries=plan.entries)
        own = placed.own_totals()
        storage = kept_for_a_day_cost(0, own.bytes, self._storage_plan)
        self._record.add(bytes_stored=own.bytes, storage_usd=round(storage, 7))
        return placed

    def _copy_to_snapshot(self, copies: Iterable[Copy]) -> None:
        """Copy what has not changed.

        Raises:
            SourcesUnavailable: when some of it is archived or forbidden; the rest is copied.
        """
        problems: dict[str, StoreError] = {}
        self._bucket.copy(copies, lambda work, problem: problems.update({work.source_key: problem}))
        if problems:
            self._record.add(not_copied=len(problems))
            raise SourcesUnavailable(
                f"{len(problems)} objects of the last backup cannot be copied; their files are sent instead. "
                f"{next(iter(problems.values()))}",
                frozenset(problems),
            )

    def _update_latest(
        self, manifest: Manifest, base: Manifest | None, guard: LatestGuard, verdict: LatestVerdict, text: Path
    ) -> None:
        guard.require_ownership_again(verdict)
        if base is None:
            unrestorable = self._records.unrestorable()
            present = [row.key for row in self._bucket.list(LATEST_PREFIX) if row.key not in unrestorable]
            # Of what cannot be read it may be all there is.
            in_gaps = {key for key in present if is_in_a_gap(key, manifest.gaps)}
            present = [key for key in present if key not in in_gaps]
            plan = plan_latest_in_full(manifest, present, LATEST_MANIFEST_KEY)
        else:
            plan = plan_latest(manifest, base)
        self._records.mark_latest_partial(manifest.snapshot)
        self._bucket.copy(plan.copies())
        refused = self._bucket.delete(plan.deletions)
        if refused:
            key, reason = next(iter(refused.items()))
            raise AgentError(
                f"S3 refused to delete {len(refused)} objects under latest/, {key!r} among them ({reason})."
            )
        etag = guard.commit(
            manifest, verdict, lambda seen_etag: self._bucket.put_file(LATEST_MANIFEST_KEY, text, if_match=seen_etag)
        )
        record = LatestRecord(self._settings.bucket, etag)
        self._records.remember(manifest, record, BaseHeld.IN_BOTH)


def _fail_where_it_must(manifest: Manifest, gaps: tuple[Gap, ...], capture: Capture) -> None:
    """What went wrong although everything is backed up."""
    if capture.thaw_problem:
        raise AgentError(
            f"Everything is backed up, but the gateway may still be frozen: {capture.thaw_problem} "
            "openclaw-s3-backup.py --thaw tries again; else restart openclaw.service."
        )
    error = gaps_error(gaps, manifest, {row.path for row in capture.damaged})
    if error is not None:
        raise error
