"""A month of made-up snapshots in the bucket, for the lifecycle to sort out."""

import asyncio
import os
from datetime import datetime, timedelta

import obstore
from obstore.store import S3Store

from openclaw_agent.snapshot.codec import encode_manifest
from openclaw_agent.snapshot.keys import snapshot_manifest_key
from openclaw_agent.snapshot.manifest import CaptureMethod, Entry, EntryKind, Manifest
from openclaw_agent.snapshot.names import format_snapshot_name

PARALLEL = 16


def month_of_snapshot_names(now: datetime, *, days: int = 35, step: timedelta = timedelta(hours=1)) -> list[str]:
    """Names of snapshots on the hour, from `days` ago up to 25 hours ago."""
    top = now.replace(minute=0, second=0, microsecond=0)
    instants = []
    age = timedelta(hours=25)
    while age <= timedelta(days=days):
        instants.append(top - age)
        age += step
    return [format_snapshot_name(instant) for instant in instants]


def put_month(bucket: str, endpoint_url: str, region: str, names: list[str]) -> None:
    """Write a complete snapshot with nothing but its root folder for each name."""
    store = S3Store(
        bucket,
        endpoint=endpoint_url,
        region=region,
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )

    async def put_all() -> None:
        pending = iter(names)

        async def worker() -> None:
            for name in pending:
                await obstore.put_async(store, snapshot_manifest_key(name), manifest_of_nothing(name))

        await asyncio.gather(*(worker() for _ in range(PARALLEL)))

    asyncio.run(put_all())


def manifest_of_nothing(name: str) -> bytes:
    """The manifest of a complete snapshot of an empty state folder."""
    root = Entry("", EntryKind.DIR, 0o700, 1000, 1000, 0)
    return b"".join(
        encode_manifest(Manifest(name, name, 0, "i-of-the-demo", "dev", CaptureMethod.STOPPED, 0.0, (root,)))
    )
