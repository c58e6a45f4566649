"""Records which local state was quarantined, so that a retried boot does not upload it twice."""

import hashlib
import json

from openclaw_agent.fs.atomic import replace_file
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.state_dir.walk import walk
from openclaw_agent.store.bucket import Bucket


class QuarantineRecord:
    """The note about the state folder as it is now; the gateway must not run."""

    def __init__(self, session: Session) -> None:
        self._bucket = session.settings.bucket
        self._note = session.agent_dir.folder / "quarantine.json"
        self._digest = _digest(session)

    def is_there(self, store: Bucket) -> bool:
        """Whether this very state lies in a complete snapshot already."""
        try:
            note = json.loads(self._note.read_bytes())
            name, known = note["snapshot"], (note["bucket"], note["digest"])
        except (OSError, ValueError, KeyError, TypeError):
            return False
        if known != (self._bucket, self._digest) or not isinstance(name, str) or parse_snapshot_name(name) is None:
            return False
        return store.etag(snapshot_manifest_key(name)) is not None

    def remember(self, snapshot: str) -> None:
        """Note that this state lies in `snapshot`."""
        note = {"bucket": self._bucket, "snapshot": snapshot, "digest": self._digest}
        replace_file(self._note, [json.dumps(note).encode()])


def _digest(session: Session) -> str:
    """A digest of all that lstat tells of the state: an inode's ctime changes with everything else."""
    digest = hashlib.sha256()
    for row in walk(session.settings.state_dir, session.exclusions).found:
        digest.update(repr(row).encode(errors="surrogateescape"))
    return digest.hexdigest()
