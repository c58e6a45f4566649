"""What a restore point says of its own files: damaged, of an earlier backup, unverified, or not in it. Pure."""

from collections.abc import Iterator

from openclaw_agent.snapshot.manifest import Manifest

MOST_NAMED = 5


def verdict_sentences(manifest: Manifest) -> Iterator[str]:
    """A warning for each kind of verdict; bytes that are intact may well be those of a damaged database."""
    for verdict, paths in verdicts(manifest).items():
        if paths:
            named = ", ".join(repr(path) for path in paths[:MOST_NAMED])
            more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
            yield f"Warning: {_MEANINGS[verdict]}: {named}{more}."


def verdicts(manifest: Manifest) -> dict[str, list[str]]:
    """The paths by verdict. Manifests of agents that knew fewer verdicts tell of damage in their header alone."""
    in_header = {row.path for row in manifest.damaged if not row.last_good}
    replaced = {row.path for row in manifest.damaged if row.last_good}
    found: dict[str, list[str]] = {verdict: [] for verdict in _MEANINGS}
    held = set()
    for entry in manifest.entries:
        held.add(entry.path)
        if entry.damaged or entry.path in in_header:
            found["damaged"].append(entry.path)
        elif entry.stale or entry.path in replaced:
            found["stale"].append(entry.path)
        elif entry.unverified:
            found["unverified"].append(entry.path)
    found["missing"] = [gap.path for gap in manifest.gaps if gap.path not in held]
    return found


_MEANINGS = {
    "damaged": "damaged when they were backed up, and as they were found",
    "stale": "of an earlier backup, for they could not be read at this one or were damaged",
    "unverified": "databases that nobody could verify",
    "missing": "not in the backup, for they could not be read or restored",
}
