"""What S3 itself reports of the backup bucket, whatever the instance says: one row a report, to a topic of its own."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BucketEvent:
    """One kind of event; `filters` are (prefix, suffix) of the keys that count, none of which overlap (S3 refuses it).

    Nobody subscribes to the topic: that S3 has published to it is what CloudWatch counts.
    """

    name: str
    events: tuple[str, ...]
    filters: tuple[tuple[str, str], ...]


COMMITS = BucketEvent("commits", ("s3:ObjectCreated:*",), (("snapshots/", "/manifest.json"),))
"""A snapshot was completed: its manifest was put."""

LOSSES = BucketEvent("losses", ("s3:ObjectRemoved:*",), (("latest/manifest.json", ""), ("owner.json", "")))
"""An object was deleted that no run of ours ever deletes."""

BUCKET_EVENTS = (COMMITS, LOSSES)
"""Everything that is reported."""
