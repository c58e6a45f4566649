"""What differs between two snapshots, from their manifests alone. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from openclaw_agent.snapshot.manifest import Entry, EntryKind, Manifest


class Kind(StrEnum):
    """What becomes of a path, as the first letter of its line."""

    ADDED = "+"
    REMOVED = "-"
    CHANGED = "~"


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs; sizes in bytes, None where there is no file; `respects` for what is changed."""

    kind: Kind
    path: str
    size_before: int | None
    size_after: int | None
    respects: tuple[str, ...] = ()

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {
            "change": self.kind.name.lower(),
            "path": self.path,
            "bytes_before": self.size_before,
            "bytes_after": self.size_after,
            "respects": list(self.respects),
        }


@dataclass(frozen=True, slots=True)
class ChangeTotals:
    """How many files are added, removed and changed, and how many bytes the second has more than the first."""

    added: int
    removed: int
    changed: int
    bytes: int


def changes_between(before: Manifest, after: Manifest) -> list[Change]:
    """Return what going from one snapshot to the other would change, by path.

    Of a folder that comes or goes with something in it, only what is in it is told. Times alone are no difference.
    """
    then, now = before.by_path(), after.by_path()
    rows = [Change(Kind.REMOVED, path, _size(then[path]), None) for path in then.keys() - now.keys()]
    rows += [Change(Kind.ADDED, path, None, _size(now[path])) for path in now.keys() - then.keys()]
    for path in then.keys() & now.keys():
        if respects := _respects(then[path], now[path]):
            rows.append(Change(Kind.CHANGED, path, _size(then[path]), _size(now[path]), respects))
    told = _parents(row.path for row in rows if row.kind is not Kind.CHANGED)
    folders = {path for path in (*then, *now) if (now.get(path) or then[path]).kind is EntryKind.DIR}
    # An empty one is told: nothing else tells of it.
    rows = [row for row in rows if row.kind is Kind.CHANGED or row.path not in folders or row.path not in told]
    return sorted(rows, key=lambda row: row.path)


def totals(changes: Sequence[Change]) -> ChangeTotals:
    """Return the counts, folders included."""
    return ChangeTotals(
        added=sum(row.kind is Kind.ADDED for row in changes),
        removed=sum(row.kind is Kind.REMOVED for row in changes),
        changed=sum(row.kind is Kind.CHANGED for row in changes),
        bytes=sum((row.size_after or 0) - (row.size_before or 0) for row in changes),
    )


def _respects(then: Entry, now: Entry) -> tuple[str, ...]:
    if then.kind is not now.kind:
        return (f"{then.kind.value} becomes {now.kind.value}",)
    found = []
    if then.sha256 != now.sha256:
        found.append("content")
    if then.target != now.target:
        found.append("target")
    if then.mode != now.mode:
        found.append(f"mode {then.mode:04o} becomes {now.mode:04o}")
    if (then.uid, then.gid) != (now.uid, now.gid):
        found.append(f"owner {then.uid}:{then.gid} becomes {now.uid}:{now.gid}")
    return tuple(found)


def _size(entry: Entry) -> int | None:
    return entry.size if entry.kind is EntryKind.FILE else None


def _parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent and parent not in found:
            found.add(parent)
            parent = parent.rpartition("/")[0]
    return found
