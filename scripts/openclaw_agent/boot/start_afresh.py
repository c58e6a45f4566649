"""Whether a bucket without a state is a new one or a wiped one, and what a person may say to it."""

from openclaw_agent.catalog.choice import NEWEST
from openclaw_agent.catalog.reader import CatalogReader
from openclaw_agent.errors import AgentError, Refused, StoreError
from openclaw_agent.session import Session
from openclaw_agent.snapshot.keys import LATEST_MANIFEST_KEY, MARKER_KEY
from openclaw_agent.state_dir.content import holds_files


def require_new_bucket(session: Session) -> None:
    """Refuse to start on nothing where the bucket has held a state; one on this disk is not nothing.

    The marker says it, which the instance's role can write and not delete; so does a deleted manifest of `latest/`.

    Raises:
        Refused: with what to type.
    """
    if holds_files(session.settings.state_dir, session.exclusions):
        return
    store = session.bucket
    if store.etag(MARKER_KEY) is None and not any(map(store.was_deleted, (MARKER_KEY, LATEST_MANIFEST_KEY))):
        return
    raise Refused(
        f"Refused to start on nothing: the bucket {store.bucket} has held a state, and holds none now. "
        "Bring it back from your machine (make undelete), then boot again (openclaw-s3-restore.py boot); if the state "
        "is meant to be gone, run openclaw-s3-restore.py boot --start-afresh."
    )


def require_nothing_to_restore(session: Session, reader: CatalogReader) -> None:
    """Refuse to start afresh where there is a state, on the disk or in the bucket.

    Raises:
        Refused: naming it.
        StoreError: when the bucket cannot be read.
    """
    state_dir = session.settings.state_dir
    if holds_files(state_dir, session.exclusions):
        raise Refused(f"Refused to start afresh: {state_dir} holds files. Move them away first, or leave the flag out.")
    try:
        point = reader.first_usable(NEWEST)
    except StoreError:
        raise
    except AgentError:
        # What is there is of no use to a restore, and stays where it is.
        return
    if point is not None:
        raise Refused(
            f"Refused to start afresh: the bucket {session.bucket.bucket} holds a state ({point.name}). Leave the flag "
            "out to restore it, or delete it first."
        )
