from datetime import UTC, datetime

import pytest

from openclaw_agent.catalog.unmanaged import choose_unmanaged, is_file_path, unexplained
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
