"""Objects without a manifest, uploaded by hand or by another tool: what state can be made of them. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from openclaw_agent.catalog.choice import Choice, Source
from openclaw_agent.snapshot.disk_names import why_no_path
from openclaw_agent.snapshot.keys import (
    LATEST_PREFIX,
    MANIFEST_FILE,
    OWN_NAMES,
    RESERVED_FILE,
    ROOT_KEYS,
    SNAPSHOTS_PREFIX,
    STATE_PREFIX,
    snapshot_name_in_key,
)
from openclaw_agent.snapshot.manifest import CaptureMethod, Entry, EntryKind, Manifest
from openclaw_agent.snapshot.names import parse_snapshot_name
from openclaw_agent.state_dir.openclaw import CONFIG_FILE, GATEWAY_UID, is_litter, is_sign_of_state
from openclaw_agent.store.transfers import ListedObject

ROOT = ""
MOST_NAMED = 5
_NOT_OF_A_FLAT_STATE = OWN_NAMES | {STATE_PREFIX.rstrip("/")}


@dataclass(frozen=True, slots=True)
class UnmanagedObjects:
    """Objects without a manifest: where they lie, and the entries made up for them with their keys.

    `confidence` says how surely this is a state: 2 where it holds the gateway's configuration, 1 where it lies in a
    folder `.openclaw/` or has another sign of a state, else 0. `unrestorable` are keys of which no file can be made, or
    that lie beside the state.
    """

    prefix: str
    entries: tuple[Entry, ...]
    keys: dict[str, str]
    confidence: int
    oldest_ns: int
    unrestorable: tuple[str, ...] = ()

    @property
    def choice(self) -> Choice:
        """The choice these objects stand for."""
        place = self.prefix or "the bucket's root"
        return Choice(Source.AS_FOUND, self.prefix, f"there is no manifest; the objects under {place} are as found")

    @property
    def manifest(self) -> Manifest:
        """A manifest that promises nothing but the objects' sizes."""
        return Manifest("", "", 0, "", "", CaptureMethod.LIVE, 0.0, self.entries)

    @property
    def warning(self) -> str:
        """What the person must know before relying on this state."""
        text = f"Warning: {self.choice.because}, without checksums, modes or owners."
        if self.unrestorable:
            text += (
                f" {len(self.unrestorable)} objects are not part of it and stay where they are: "
                f"{named(self.unrestorable)}."
            )
        return text


def named(keys: Sequence[str]) -> str:
    """The first keys, and how many there are besides."""
    more = f" and {len(keys) - MOST_NAMED} more" if len(keys) > MOST_NAMED else ""
    return ", ".join(repr(key) for key in keys[:MOST_NAMED]) + more


def place_of(key: str) -> str:
    """The folder of the bucket that a key belongs to: `latest/`, `snapshots/<name>/`, or "" for the root."""
    if key.startswith(LATEST_PREFIX):
        return LATEST_PREFIX
    if key.startswith(SNAPSHOTS_PREFIX):
        name = snapshot_name_in_key(key)
        return f"{SNAPSHOTS_PREFIX}{name}/" if name else SNAPSHOTS_PREFIX
    return ROOT


def choose_unmanaged(listed: Iterable[ListedObject]) -> UnmanagedObjects | None:
    """The state to restore from a listing without usable manifests: the surest, then the newest by its place.

    A stray file in `latest/` must not hide a state elsewhere, so what has the gateway's configuration comes first.
    What lies under `latest/` and was not taken is not restorable, and preserved: the next backup does not delete it.
    """
    places: dict[str, list[ListedObject]] = {}
    for row in listed:
        places.setdefault(place_of(row.key), []).append(row)
    found = [arranged for place in sorted(places, key=_place_order) if (arranged := arrange(place, places[place]))]
    if not found:
        return None
    best = max(found, key=lambda candidate: candidate.confidence)
    if best.prefix.startswith(LATEST_PREFIX):
        return best
    others = [row.key for row in places.get(LATEST_PREFIX, ()) if not _is_marker(row)]
    return _with_unrestorable(best, others)


def arrange(place: str, listed: Iterable[ListedObject]) -> UnmanagedObjects | None:
    """The state in one place, nested in `.openclaw/` or flat; None where there is none, or only a part of one.

    It is nested unless something of a state's lies beside `.openclaw/`: a flat state may have a folder of that name.
    Anything may lie at the bucket's root: flat objects there of which none is a sign of a state are none.
    """
    rows = list(listed)
    objects = {row.key.removeprefix(place): row for row in rows if not _is_marker(row)}
    if place == SNAPSHOTS_PREFIX:
        return None
    if place.startswith(SNAPSHOTS_PREFIX) and (MANIFEST_FILE in objects or RESERVED_FILE in objects):
        # A snapshot of ours: complete ones are restored by their manifests, and a part of a state is no state.
        return None
    if place == ROOT:
        for key in ROOT_KEYS:
            objects.pop(key, None)
    inner = {path.removeprefix(STATE_PREFIX): row for path, row in objects.items() if path.startswith(STATE_PREFIX)}
    beside = [path for path in objects if not path.startswith(STATE_PREFIX)]
    foreign = [path for path in beside if path.split("/")[0] not in OWN_NAMES]
    nested = bool(inner) and (not foreign or (CONFIG_FILE in inner and CONFIG_FILE not in objects))
    if nested:
        files, aside = inner, beside
    else:
        files = {path: row for path, row in objects.items() if path.split("/")[0] not in OWN_NAMES}
        aside = [path for path in beside if path.split("/")[0] in OWN_NAMES]
    prefix = place + (STATE_PREFIX if nested else "")
    markers = [row.key.removeprefix(prefix) for row in rows if _is_marker(row) and row.key.startswith(prefix)]
    folders = _folders_of(files)
    usable = {path: row for path, row in files.items() if path not in folders and is_file_path(path)}
    if all(is_litter(path) for path in usable):
        return None
    if place == ROOT and not (nested or any(map(is_sign_of_state, usable))):
        return None
    refused = [row.key for path, row in files.items() if path not in usable]
    marked = _marked_folders(
        (path for path in markers if nested or path.split("/")[0] not in _NOT_OF_A_FLAT_STATE), usable
    )
    return UnmanagedObjects(
        prefix,
        tuple(_made_up_entries(usable, marked)),
        {path: row.key for path, row in usable.items()},
        confidence=2 if CONFIG_FILE in usable else int(nested or any(map(is_sign_of_state, usable))),
        oldest_ns=min(_nanoseconds(row) for row in usable.values()),
        unrestorable=tuple(sorted([*refused, *(place + path for path in aside)])),
    )


def is_file_path(path: str) -> bool:
    """Whether a disk can hold a file of this relative path, and the transfer engine fetch its key."""
    # obstore refuses keys with control characters of ASCII.
    return bool(path) and not why_no_path(path) and not any(one < " " or one == "\x7f" for one in path)


def is_stray(key: str) -> bool:
    """Whether an object is nobody's state wherever one may lie: litter, or at the root and without a sign of a state.

    A sign further down (a whole state in some folder) is not where a restore looks, and still in a first start's way.
    """
    if is_litter(key):
        return True
    parts = key.split("/")
    if place_of(key) != ROOT or parts[0] in OWN_NAMES or STATE_PREFIX.rstrip("/") in parts:
        return False
    return not any(is_sign_of_state("/".join(parts[depth:])) for depth in range(len(parts)))


def strays(listed: Iterable[ListedObject]) -> list[str]:
    """The keys of objects that are nobody's state."""
    return [row.key for row in listed if not _is_marker(row) and is_stray(row.key)]


def unexplained(listed: Iterable[ListedObject]) -> list[str]:
    """The keys that are none of ours at the root, no folder's marker, no stray and no part of a backup cut short."""
    rows = [row for row in listed if row.key not in ROOT_KEYS and not _is_marker(row) and not is_stray(row.key)]
    committed = {place_of(row.key) for row in rows if row.key == place_of(row.key) + MANIFEST_FILE}
    cut_short = {place_of(row.key) for row in rows if row.key == place_of(row.key) + RESERVED_FILE} - committed
    cut_short = {place for place in cut_short if place.startswith(SNAPSHOTS_PREFIX)}
    return [row.key for row in rows if place_of(row.key) not in cut_short]


def _place_order(place: str) -> tuple[int, tuple[int, ...]]:
    if place in (LATEST_PREFIX, ROOT):
        return (0 if place == LATEST_PREFIX else 1), ()
    name = place.removeprefix(SNAPSHOTS_PREFIX).rstrip("/")
    # Snapshots from new to old, then the names that are no time.
    return (2 if parse_snapshot_name(name) else 3), tuple(-ord(character) for character in name)


def _is_marker(row: ListedObject) -> bool:
    return row.size == 0 and row.key.endswith("/")


def _with_unrestorable(found: UnmanagedObjects, keys: Iterable[str]) -> UnmanagedObjects:
    return replace(found, unrestorable=tuple(sorted({*found.unrestorable, *keys})))


def _folders_of(files: Iterable[str]) -> set[str]:
    """The folders of the paths that a disk can hold."""
    folders = {""}
    for path in files:
        if is_file_path(path):
            parts = path.split("/")[:-1]
            folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return folders


def _marked_folders(markers: Iterable[str], usable: Collection[str]) -> set[str]:
    """The folders that markers (`x/y/`) make beside those that files lie in; a file of the name comes first."""
    marked = _folders_of(f"{marker}x" for marker in markers)
    return {path for path in marked if not any(part in usable for part in (path, *_parents(path)))}


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _made_up_entries(usable: dict[str, ListedObject], marked: set[str]) -> Iterator[Entry]:
    newest = max(_nanoseconds(row) for row in usable.values())
    for folder in sorted(_folders_of(usable) | marked, key=lambda path: path.split("/")):
        yield Entry(folder, EntryKind.DIR, 0o700, GATEWAY_UID, GATEWAY_UID, newest)
    for path, row in usable.items():
        yield Entry(path, EntryKind.FILE, 0o600, GATEWAY_UID, GATEWAY_UID, _nanoseconds(row), size=row.size)


def _nanoseconds(row: ListedObject) -> int:
    return int(row.modified.timestamp()) * 1_000_000_000
