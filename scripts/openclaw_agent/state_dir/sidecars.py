"""Which files of a walked tree belong to a database: told by what they are, for anybody may name a file so."""

from collections.abc import Iterable, Mapping

from openclaw_agent.fs.confined import ConfinedDir, ConfinedPath
from openclaw_agent.snapshot.manifest import EntryKind
from openclaw_agent.sqlite.files import is_database, is_sidecar, sidecar_base
from openclaw_agent.state_dir.walk import Tree, WalkEntry


def find_sidecars(top: ConfinedDir, tree: Tree) -> Mapping[str, WalkEntry]:
    """The sidecars of all databases by their path, those that the rules leave out too."""
    files = {row.path for row in tree.found if row.kind is EntryKind.FILE}
    return {row.path: row for row in _named_so((*tree.found, *tree.withheld)) if _is_one(top, row.path, files)}


def _named_so(rows: Iterable[WalkEntry]) -> Iterable[WalkEntry]:
    return (row for row in rows if row.kind is EntryKind.FILE and sidecar_base(row.path) is not None)


def _is_one(top: ConfinedDir, path: str, files: set[str]) -> bool:
    base = sidecar_base(path)
    if base is None or base not in files:
        return False
    database = ConfinedPath(top, base)
    return is_database(database) and is_sidecar(database, path.removeprefix(base))
