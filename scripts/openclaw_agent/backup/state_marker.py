"""The marker that a bucket has held a state: written once, so that a wiped bucket is never taken for a new one."""

import json
import logging

from openclaw_agent.errors import PreconditionFailed, StoreError
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import MARKER_KEY
from openclaw_agent.snapshot.manifest import Manifest

_log = logging.getLogger(__name__)


def mark_bucket(session: Session, manifest: Manifest) -> None:
    """Put the marker into the bucket, unless it is known to be there; a refusal is told and fails no backup."""
    bucket = session.settings.bucket
    if session.records.is_marked(bucket):
        return
    text = json.dumps({"snapshot": manifest.snapshot, "created": manifest.created, "stack": manifest.stack}, indent=2)
    try:
        session.bucket.put(MARKER_KEY, f"{text}\n".encode(), if_absent=True)
    except PreconditionFailed:
        # An instance before this one wrote it.
        pass
    except StoreError as problem:
        _log.warning(
            "Warning: %s cannot be written, so that a wiped bucket would be taken for a new one: %s "
            "Deploy the instance's stack again, whose role may write it.",
            MARKER_KEY,
            problem,
        )
        return
    session.records.remember_marked(bucket)
