"""Which instance this is, and which of its boots."""

import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

from openclaw_agent.agent_dir.records import Records
from openclaw_agent.errors import UsageError
from openclaw_agent.host.metadata import INSTANCE_ID_PATH, InstanceMetadata, MetadataUnavailable
from openclaw_agent.settings import Settings
from openclaw_agent.snapshot.head_codec import INSTANCE_ID
from openclaw_agent.store.retries import RetryPolicy

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN_BOOT = "unknown"
LOOK_UP = RetryPolicy(attempts=5, first_pause=1.0, passing=lambda problem: isinstance(problem, MetadataUnavailable))


def boot_id() -> str:
    """The kernel's id of this boot; `OPENCLAW_BOOT_ID` overrides it (a container shares its host's kernel)."""
    given = os.environ.get("OPENCLAW_BOOT_ID")
    if given:
        return given
    try:
        return BOOT_ID_FILE.read_text().strip()
    except OSError:
        return UNKNOWN_BOOT


def instance_id(settings: Settings, sleep: Callable[[float], object] = time.sleep) -> str:
    """This machine's EC2 instance id, or elsewhere than on an instance its host name.

    `OPENCLAW_INSTANCE_ID` overrides both. On an instance the host name never stands in: a metadata service that is slow
    for a moment would make the owner a stranger to its own bucket.

    Raises:
        UsageError: when the override is no such id.
        MetadataUnavailable: when the metadata service of an instance does not answer, and this boot has not asked yet.
    """
    given = os.environ.get("OPENCLAW_INSTANCE_ID")
    if given:
        if INSTANCE_ID.fullmatch(given) is None:
            # No agent would read a record or manifest in which it stood.
            raise UsageError(
                f"OPENCLAW_INSTANCE_ID={given!r} is not allowed: it must be letters, digits and ._:@-, at most 253."
            )
        return given
    known = Records(settings.agent_dir).boot()
    if known is not None and known.boot_id == boot_id() != UNKNOWN_BOOT:
        return known.instance_id
    if settings.on_instance:
        return _ask_with_retries(InstanceMetadata(), sleep)
    try:
        return InstanceMetadata(timeout=0.5).get(INSTANCE_ID_PATH) or _host_name()
    except MetadataUnavailable:
        return _host_name()


def _host_name() -> str:
    name = re.sub(r"[^A-Za-z0-9._:@-]", "-", socket.gethostname())[:253]
    return name if INSTANCE_ID.fullmatch(name) else f"host{name[:200]}"


def _ask_with_retries(metadata: InstanceMetadata, sleep: Callable[[float], object]) -> str:
    def ask() -> str:
        found = metadata.get(INSTANCE_ID_PATH)
        if not found:
            raise MetadataUnavailable("The metadata service does not know this instance's id.")
        return found

    return LOOK_UP.call(ask, sleep)
