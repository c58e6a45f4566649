"""What a crash leaves behind, told without times and ids, and without which of the like objects came first."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

State = frozenset[tuple[str, str]]
_SNAPSHOT = re.compile(r"^snapshots/[^/]+")
# Of a snapshot's folder and of `latest/` these are read one by one; what lies beside them is one heap of content.
_RECORDS = ("manifest.json", "reserved", "quarantined")


@dataclass(slots=True)
class Yardstick:
    """Tells how far a bucket and a disk are from what they were before a run to what they are after it.

    `before` and `after` are the bucket's keys with their ETags, `disk` is the machine's folder before the run.
    """

    before: dict[str, str]
    disk: Path
    after: dict[str, str] = field(default_factory=dict)

    def bucket_state(self, present: dict[str, str]) -> State:
        """For each heap of like objects: are there any that have not changed yet, and any that have."""
        now, after = self._named_alike(present), self._named_alike(self.after)
        whole = {_folder(key) for key in now if key.endswith("/manifest.json")}
        state = set()
        for key in self.before.keys() | now.keys() | after.keys():
            was, found, wanted = self.before.get(key), now.get(key), after.get(key)
            if was == found == wanted:
                continue
            if key.startswith("snapshots/") and _folder(key) not in whole and not key.endswith("/reserved"):
                # Of a snapshot without a manifest only the reservation is ever looked at.
                if found:
                    state.add((_folder(key), "some objects"))
                continue
            # What comes and what changes is written at the same time, in no order; what goes is deleted by itself.
            kind = "goes" if wanted is None and was is not None else "is written"
            state.add((_heap(key), f"{kind}: {'not yet' if found == was else 'done'}"))
        return frozenset(state)

    def disk_state(self, root: Path) -> State:
        state = set()
        for place, folders, files in os.walk(root):
            below = os.path.relpath(place, root)
            # What lies in these folders is only ever removed as a whole.
            if below == "agent/clone" or below.endswith(".restoring"):
                folders.clear()
                continue
            for name in (*folders, *files):
                if name.endswith(".new"):
                    # Never read: whoever writes the record anew begins with an empty one (fs/atomic.py).
                    continue
                found = os.path.normpath(f"{below}/{name}")
                state.add((_without_times(found), self._content(root, found) if name in files else ""))
        return frozenset(state)

    def _named_alike(self, etags: dict[str, str]) -> dict[str, str]:
        """Call a snapshot that was not there before by one name, whatever minute it is."""
        known = {_folder(key) for key in self.before}
        return {key if _folder(key) in known else _SNAPSHOT.sub("snapshots/new", key): etags[key] for key in etags}

    def _content(self, root: Path, name: str) -> str:
        path, before = root / name, self.disk / name
        if path.is_symlink() or path.suffix == ".log":
            return ""
        if path.name == "boot.json":
            return path.read_text()
        size = path.stat().st_size
        if before.is_file() and before.stat().st_size == size and before.read_bytes() == path.read_bytes():
            return "as before"
        return "new" if size else "empty"


def _folder(key: str) -> str:
    found = _SNAPSHOT.match(key)
    return found.group() if found else ""


def _heap(key: str) -> str:
    folder, _, name = key.rpartition("/")
    return key if name in _RECORDS or not folder else key.split("/.openclaw")[0] + "/objects"


def _without_times(name: str) -> str:
    return re.sub(r"\d{8}T\d+Z", "<time>", name)
