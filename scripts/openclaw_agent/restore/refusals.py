"""What the kernel's refusal of a write says: that this disk is in trouble, or that no disk could hold what is asked."""

import errno
from pathlib import Path

from openclaw_agent.errors import AgentError, LocalStorageError, ManifestInvalid

# Of names, numbers and the shape of the tree: none of them passes with more room or another disk.
_NEVER_TAKEN = frozenset(
    {
        errno.EINVAL,
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.EILSEQ,
        errno.EOVERFLOW,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOENT,
        errno.ERANGE,
        errno.EDOM,
        errno.E2BIG,
    }
)


def refused_by_disk(problem: Exception, base: Path, target: Path) -> AgentError:
    """The error for what could not be written below `target`, which has the name `base` in what the kernel says.

    It is ManifestInvalid where the next restore point may be written.
    """
    if not isinstance(problem, OSError):
        return ManifestInvalid(f"The manifest asks for what no disk takes ({type(problem).__name__}: {problem}).")
    place = str(problem.filename or base).replace(str(base), str(target))[-200:]
    if problem.errno in _NEVER_TAKEN:
        return ManifestInvalid(f"The manifest asks for {place!r}, which no disk takes ({problem.strerror}).")
    return LocalStorageError(
        f"The restore could not write {place!r} ({problem.strerror}). The current state was not changed."
    )
