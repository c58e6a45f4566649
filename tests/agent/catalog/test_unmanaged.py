from datetime import UTC, datetime

import pytest

from openclaw_agent.catalog.unmanaged import choose_unmanaged, is_file_path, strays, unexplained
from openclaw_agent.snapshot.manifest import EntryKind
from openclaw_agent.store.transfers import ListedObject

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
NESTED, FLAT, ROOT = "latest/.openclaw/", "latest/", ""


def listed(*keys: str) -> list[ListedObject]:
    """Objects of one byte; keys that end in a slash are folder markers."""
    return [ListedObject(key, 0 if key.endswith("/") else 1, NOON) for key in keys]


CASES: dict[str, tuple[tuple[str, ...], str, set[str], set[str]]] = {
    "a nested state": ((f"{NESTED}openclaw.json", f"{NESTED}a/b"), NESTED, {"openclaw.json", "a/b"}, set()),
    "a folder marker beside a flat state": (
        (f"{FLAT}.openclaw/", f"{FLAT}openclaw.json", f"{FLAT}a"),
        FLAT,
        {"openclaw.json", "a"},
        set(),
    ),
    "a flat state with a folder .openclaw of its own": (
        (f"{NESTED}tool.json", f"{FLAT}openclaw.json"),
        FLAT,
        {".openclaw/tool.json", "openclaw.json"},
        set(),
    ),
    "our own names inside .openclaw": (
        tuple(f"{NESTED}{name}" for name in ("manifest.json", "owner.json", "reserved", "quarantined")),
        NESTED,
        {"manifest.json", "owner.json", "reserved", "quarantined"},
        set(),
    ),
    "our own names beside .openclaw": (
        (f"{NESTED}a", f"{FLAT}quarantined", f"{FLAT}.encoded/abc"),
        NESTED,
        {"a"},
        {f"{FLAT}quarantined", f"{FLAT}.encoded/abc"},
    ),
    "keys that no disk holds": (
        (f"{NESTED}a", f"{NESTED}b//c", f"{NESTED}../d", f"{NESTED}a/e", f"{NESTED}{'n' * 256}", f"{NESTED}t\tb"),
        NESTED,
        {"a/e"},
        {f"{NESTED}a", f"{NESTED}b//c", f"{NESTED}../d", f"{NESTED}{'n' * 256}", f"{NESTED}t\tb"},
    ),
    "a stray file in latest and the state at the root": (
        (f"{FLAT}README.txt", ".openclaw/openclaw.json", ".openclaw/a"),
        ".openclaw/",
        {"openclaw.json", "a"},
        {f"{FLAT}README.txt"},
    ),
    "a stray file in latest and a nested state without a configuration at the root": (
        (f"{FLAT}README.txt", ".openclaw/a"),
        ".openclaw/",
        {"a"},
        {f"{FLAT}README.txt"},
    ),
    "a stray file beside a nested state at the root": (
        ("README.txt", ".openclaw/openclaw.json", "owner.json"),
        ".openclaw/",
        {"openclaw.json"},
        {"README.txt"},
    ),
    "latest before the root before snapshots": (
        ("snapshots/2026-03-04-08-00/openclaw.json", "openclaw.json", f"{FLAT}openclaw.json"),
        FLAT,
        {"openclaw.json"},
        set(),
    ),
    "the newest snapshot": (
        ("snapshots/2026-03-04-08-00/openclaw.json", "snapshots/2026-03-04-08-20/openclaw.json"),
        "snapshots/2026-03-04-08-20/",
        {"openclaw.json"},
        set(),
    ),
    "a snapshot whose name is no time": (
        ("snapshots/before-upgrade/.openclaw/openclaw.json",),
        "snapshots/before-upgrade/.openclaw/",
        {"openclaw.json"},
        set(),
    ),
}


@pytest.mark.parametrize(("keys", "prefix", "paths", "unrestorable"), CASES.values(), ids=CASES)
def test_the_state_that_is_made_of_objects_without_a_manifest(
    keys: tuple[str, ...], prefix: str, paths: set[str], unrestorable: set[str]
) -> None:
    found = choose_unmanaged(listed(*keys))
    assert found is not None
    assert (found.prefix, set(found.keys), set(found.unrestorable)) == (prefix, paths, unrestorable)
    assert all(repr(key) in found.warning for key in unrestorable)
    assert all(found.keys[entry.path] for entry in found.manifest.files())


FOLDERS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "empty folders of a nested state": (
        (f"{NESTED}a", f"{NESTED}x/", f"{NESTED}y/z/", f"{NESTED}.damaged/"),
        {"", "x", "y", "y/z", ".damaged"},
    ),
    "empty folders of a flat state": (
        (f"{FLAT}openclaw.json", f"{FLAT}x/", f"{FLAT}.damaged/", f"{FLAT}.openclaw/", FLAT),
        {"", "x"},
    ),
    "a marker of a folder with files": ((f"{NESTED}a/b", f"{NESTED}a/"), {"", "a"}),
    "a file of the same name": ((f"{NESTED}a", f"{NESTED}a/", f"{NESTED}a/b/"), {""}),
    "markers that no disk holds": ((f"{NESTED}a", f"{NESTED}x//", f"{NESTED}../", f"{NESTED}{'n' * 256}/"), {""}),
    "a marker in another place": ((f"{NESTED}a", "x/", "snapshots/x/"), {""}),
}


@pytest.mark.parametrize(("keys", "folders"), FOLDERS.values(), ids=FOLDERS)
def test_folders_that_somebody_made_without_a_file_are_part_of_the_state(
    keys: tuple[str, ...], folders: set[str]
) -> None:
    found = choose_unmanaged(listed(*keys))
    assert found is not None
    paths = [entry.path for entry in found.entries if entry.kind is EntryKind.DIR]
    assert (set(paths), len(paths)) == (folders, len(folders))
    # A folder precedes what is in it.
    assert all(path.rpartition("/")[0] in paths[:number] for number, path in enumerate(paths) if path)


def test_a_warning_names_five_keys_and_counts_the_rest() -> None:
    found = choose_unmanaged(listed("latest/.openclaw/a", *(f"latest/.openclaw/b//{number}" for number in range(1000))))
    assert found is not None
    assert "1000 objects are not part of it" in found.warning
    assert "and 995 more" in found.warning
    assert len(found.warning) < 500


NOTHING: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "an empty bucket": ((), set()),
    "an owner and markers": (("owner.json", "latest/", "snapshots/", "snapshots/x/"), set()),
    "a backup cut short": (
        ("owner.json", "snapshots/2026-03-04-08-00/reserved", "snapshots/2026-03-04-08-00/a"),
        set(),
    ),
    "a snapshot with a manifest": (
        ("snapshots/2026-03-04-08-00/reserved", "snapshots/2026-03-04-08-00/manifest.json"),
        {"snapshots/2026-03-04-08-00/reserved", "snapshots/2026-03-04-08-00/manifest.json"},
    ),
    "a key that no disk holds": (("latest/.openclaw/a//b",), {"latest/.openclaw/a//b"}),
    "an object right below snapshots": (("snapshots/a",), {"snapshots/a"}),
}


@pytest.mark.parametrize(("keys", "in_the_way"), NOTHING.values(), ids=NOTHING)
def test_what_is_in_the_way_of_a_first_start(keys: tuple[str, ...], in_the_way: set[str]) -> None:
    assert choose_unmanaged(listed(*keys)) is None
    assert set(unexplained(listed(*keys))) == in_the_way


STRAYS: dict[str, tuple[str, ...]] = {
    "access logs": ("AWSLogs/123456789012/2026-01-01-00-00-00-ABC", "2026-01-01-00-00-00-DEF"),
    "a note for people": ("README.txt",),
    "what file managers leave": (".DS_Store", "latest/.DS_Store", "latest/.openclaw/Thumbs.db", "snapshots/x/._y"),
    "an inventory": ("inventory/bucket/all/2026-01-01T00-00Z/manifest.checksum",),
    "names that only begin like a sign": ("agents/README", "openclaw.jsonl", "state/other.sqlite", "workspaces/a"),
}


@pytest.mark.parametrize("keys", STRAYS.values(), ids=STRAYS)
def test_an_object_that_is_no_state_is_never_taken_for_one(keys: tuple[str, ...]) -> None:
    rows = listed(*keys, "owner.json", "latest/")
    assert choose_unmanaged(rows) is None
    assert unexplained(rows) == []
    assert strays(rows) == list(keys)


SIGNS = (
    "openclaw.json",
    "openclaw.json.bak",
    "openclaw.json.bak.3",
    "state/openclaw.sqlite",
    "agents/main/agent/openclaw-agent.sqlite",
    "agents/main/sessions/a.jsonl",
    "credentials/telegram.json",
    "workspace/notes.md",
    "workspace-work/.git/HEAD",
)


@pytest.mark.parametrize("prefix", ["", "latest/", "snapshots/before-upgrade/"], ids=["root", "latest", "a snapshot"])
@pytest.mark.parametrize("sign", SIGNS)
def test_what_looks_like_a_state_at_its_depth_is_restored_with_all_beside_it(prefix: str, sign: str) -> None:
    found = choose_unmanaged(listed(prefix + sign, f"{prefix}notes.md", "AWSLogs/a"))
    assert found is not None
    assert {sign, "notes.md"} <= set(found.keys)
    assert found.prefix == prefix


@pytest.mark.parametrize("sign", [*SIGNS, ".openclaw/anything"])
def test_what_looks_like_a_state_where_none_is_looked_for_is_no_first_start(sign: str) -> None:
    rows = listed(f"backups/monday/{sign}", "README.txt")
    assert choose_unmanaged(rows) is None
    assert unexplained(rows) == [f"backups/monday/{sign}"]


@pytest.mark.parametrize("key", ["latest/notes.md", "snapshots/before-upgrade/notes.md"])
def test_what_somebody_has_put_where_states_lie_is_one_without_a_sign_too(key: str) -> None:
    found = choose_unmanaged(listed(key, "README.txt"))
    assert found is not None
    assert set(found.keys) == {"notes.md"}


@pytest.mark.parametrize(
    ("path", "can_be"),
    [
        ("a b", True),
        ("é" * 127, True),
        ("é" * 128, False),
        ("a%2f\\b", True),
        ("", False),
        ("a/", False),
        ("a\x7f", False),
    ],
)
def test_which_paths_a_disk_can_hold(path: str, can_be: bool) -> None:
    assert is_file_path(path) == can_be
