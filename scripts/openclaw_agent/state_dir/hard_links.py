"""The names of one file: which of them its content is stored under, and which are links to it. Pure."""

from collections.abc import Container, Iterable, Mapping

from openclaw_agent.state_dir.walk import WalkEntry


def links_by_first_name(
    rows: Iterable[WalkEntry], with_sidecars: Container[str] = frozenset()
) -> Mapping[str, tuple[WalkEntry, ...]]:
    """The other names of each file that has several among these; first is the one that comes first.

    A database's log lies beside one name: that one is first, and a second name with a log is a file by itself, for what
    is in the two logs differs.
    """
    names: dict[tuple[int, int], list[WalkEntry]] = {}
    for row in rows:
        if row.shared_inode is not None:
            names.setdefault(row.shared_inode, []).append(row)
    links = {}
    for same in names.values():
        first = next((row for row in same if row.path in with_sidecars), same[0])
        others = tuple(row for row in same if row is not first and row.path not in with_sidecars)
        if others:
            links[first.path] = others
    return links
