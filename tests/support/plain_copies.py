"""What an operator does with plain tools as root, and whose the state is on an instance."""

import os
from pathlib import Path

from openclaw_agent.state_dir.openclaw import GATEWAY_UID
from tests.support.simulated_instance import FreshBucket

GATEWAYS = (GATEWAY_UID, GATEWAY_UID)


def give_all(folder: Path, owner: tuple[int, int] = GATEWAYS) -> None:
    for place in (folder, *folder.rglob("*")):
        os.chown(place, *owner, follow_symlinks=False)


def plain_copy(world: FreshBucket, prefix: str, folder: Path, *, delete: bool = False) -> None:
    """What `aws s3 sync` does as root: files as S3 dates them, 0644, in folders of 0755; links and modes are lost."""
    if delete:
        for place in (*folder.rglob("*"),):
            if place.is_file() or place.is_symlink():
                place.unlink()
    for key, (_etag, modified, _size) in world.picture(prefix).items():
        target = folder / key.removeprefix(prefix)
        for parent in reversed([row for row in target.parents if row.is_relative_to(folder)]):
            if not parent.exists():
                parent.mkdir()
                parent.chmod(0o755)
        target.unlink(missing_ok=True)
        target.write_bytes(world.get(key))
        target.chmod(0o644)
        os.utime(target, (modified.timestamp(),) * 2)  # type: ignore[attr-defined]
