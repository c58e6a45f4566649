"""Completing a differential snapshot inside S3, so that its own folder holds every file of it.

The objects come first and the manifest last: until then the snapshot is as it was, whatever is copied beside.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from openclaw_agent.catalog.completeness import holds_all
from openclaw_agent.errors import AgentError, ManifestInvalid, PreconditionFailed
from openclaw_agent.fs.atomic import replace_file
from openclaw_agent.session import Session
from openclaw_agent.snapshot.codec import encode_manifest, require_readable
from openclaw_agent.snapshot.keys import MANIFEST_FILE, snapshot_key, snapshot_manifest_key, snapshot_prefix
from openclaw_agent.snapshot.manifest import Entry, Manifest
from openclaw_agent.store.manifests import BaseLooks, StoredManifest, load_header_or_none, read_manifest
from openclaw_agent.store.transfers import Copy


def make_whole(session: Session, name: str) -> int:
    """Copy what lies in the folders of a snapshot's bases into its own; return how many files that were.

    Others that lean on it go on doing so; it itself leans on none any more. Nothing else in the bucket is written.

    Raises:
        AgentError: when there is no such snapshot, a base is gone, or somebody has changed or deleted it meanwhile.
    """
    bucket, key = session.bucket, snapshot_manifest_key(name)
    stored = read_manifest(bucket, key, with_fingerprints=True)
    if stored is None:
        raise AgentError(f"There is no complete snapshot {name}; openclaw-s3-restore.py list shows those there are.")
    manifest = stored.manifest
    if not manifest.bases:
        return 0
    if missing := BaseLooks(bucket).missing(manifest.bases):
        raise ManifestInvalid(
            f"Snapshot {name} cannot be made whole: it needs snapshot {missing}, which is gone or is another one now."
        )
    whole = replace(manifest, entries=tuple(map(_in_its_own_folder, manifest.entries)), bases=(), header_own=None)
    elsewhere = [entry for entry in manifest.files() if entry.stored_in]
    bucket.copy(
        Copy(snapshot_key(name, entry), snapshot_key(name, _in_its_own_folder(entry)), entry.size)
        for entry in elsewhere
    )
    wanted = ((snapshot_key(name, entry), entry.size) for entry in whole.files())
    if not holds_all(bucket, wanted, [snapshot_prefix(name)]):
        raise AgentError(
            f"Snapshot {name} was not made whole: after the copies its folder does not hold every file in its size. It "
            f"is as it was; openclaw-s3-restore.py verify --snapshot {name} tells what is wrong with it."
        )
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / MANIFEST_FILE
        replace_file(text, encode_manifest(whole))
        with text.open("rb") as lines:
            require_readable(lines, whole)
        _replace_manifest(session, text, stored, whole)
    session.record.add(snapshot=name, copied_files=len(elsewhere))
    return len(elsewhere)


def _in_its_own_folder(entry: Entry) -> Entry:
    return replace(entry, stored_in="") if entry.stored_in else entry


def _replace_manifest(session: Session, text: Path, before: StoredManifest, whole: Manifest) -> None:
    key = snapshot_manifest_key(whole.snapshot)
    try:
        session.bucket.put_file(key, text, if_match=before.etag)
    except PreconditionFailed as lost:
        now = load_header_or_none(session.bucket, key)
        # Written by this run's first try, whose answer was lost, or by another run of the same command.
        if now is None or now.manifest.identity != whole.identity or now.manifest.bases:
            raise AgentError(
                f"Snapshot {whole.snapshot} was not made whole: somebody has changed or deleted it meanwhile."
            ) from lost
