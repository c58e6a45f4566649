"""Which attributes of a file or folder a snapshot holds, within bounds, and what is said of the others."""

import os
from types import TracebackType
from typing import Self

from openclaw_agent.fs.attributes import flags_of, names_of, value_of
from openclaw_agent.fs.confined import ConfinedDir
from openclaw_agent.snapshot.access_list import only_basic
from openclaw_agent.snapshot.manifest import NO_ATTRIBUTES, Attributes, EntryKind, Omission

ACCESS_LIST = "system.posix_acl_access"
DEFAULT_ACCESS_LIST = "system.posix_acl_default"
CAPABILITY = "security.capability"
USERS_OWN = "user."
_KEPT = frozenset({ACCESS_LIST, DEFAULT_ACCESS_LIST, CAPABILITY})
# A label belongs to the policy of the host that gave it.
_OF_THE_HOST = frozenset({"security.selinux"})
# One value has 64 KiB at most (xattr(7)). Bounded, lest the gateway's attributes take the agent's memory.
MOST_BYTES_OF_ONE = 256 * 1024
MOST_BYTES = 32 * 1024 * 1024
_NO_FOLDER = -1


def is_kept(attribute: str) -> bool:
    """Whether a snapshot holds attributes of this name."""
    return attribute.startswith(USERS_OWN) or attribute in _KEPT


class AttributeReader:
    """Reads attributes below an open folder; `left_out` are those that a snapshot will not hold, with the reason."""

    def __init__(self, top: ConfinedDir) -> None:
        self.left_out: list[Omission] = []
        self._top = top
        self._folder = _NO_FOLDER
        self._folder_path = ""
        self._bytes = 0
        self._shared: dict[Attributes, Attributes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def of(self, path: str, kind: EntryKind) -> Attributes:
        """Those of a file or folder; a symlink, and what is gone by now, has none.

        Asked in the order of paths it opens each folder about once.
        """
        if kind is EntryKind.SYMLINK:
            return NO_ATTRIBUTES
        parent, _, name = (path, "", "") if kind is EntryKind.DIR else path.rpartition("/")
        try:
            return self._read(self._opened(parent), name, path)
        except FileNotFoundError:
            return NO_ATTRIBUTES
        except OSError as problem:
            self._leave_out(path, f"its attributes cannot be read ({problem.strerror})")
            return NO_ATTRIBUTES

    def count(self, attributes: Attributes) -> Attributes:
        """The same, known unread, which count towards the bounds."""
        if attributes is not NO_ATTRIBUTES:
            self._bytes += sum(len(name) + len(value) for name, value in attributes.xattrs)
        return attributes

    def _read(self, folder: int, name: str, path: str) -> Attributes:
        names, flags = names_of(folder, name), flags_of(folder, name)
        if not names and not flags:
            return NO_ATTRIBUTES
        rows = []
        size = 0
        # By name: the lists, which belong to the mode, come before what the user made up.
        for attribute in sorted(names):
            if not is_kept(attribute):
                if attribute not in _OF_THE_HOST:
                    self._leave_out(path, f"its attribute {attribute!r} is of a kind that is not kept")
                continue
            try:
                value = value_of(folder, name, attribute)
            except PermissionError as problem:
                self._leave_out(path, f"its attribute {attribute!r} cannot be read ({problem.strerror})")
                continue
            if value is None:
                continue
            room = min(MOST_BYTES_OF_ONE - size, MOST_BYTES - self._bytes)
            if len(attribute) + len(value) > room:
                self._leave_out(path, f"its attribute {attribute!r} is too large ({len(value):,} bytes)")
                if attribute != ACCESS_LIST:
                    continue
                # Without any the mode would give the group what the list gave others.
                value = only_basic(value)
            size += len(attribute) + len(value)
            self._bytes += len(attribute) + len(value)
            rows.append((attribute, value))
        return self._one_object(Attributes(tuple(rows), flags))

    def _opened(self, path: str) -> int:
        if self._folder == _NO_FOLDER or path != self._folder_path:
            self._close()
            self._folder, self._folder_path = self._top.open(path, os.O_RDONLY | os.O_DIRECTORY), path
        return self._folder

    def _close(self) -> None:
        if self._folder != _NO_FOLDER:
            os.close(self._folder)
            self._folder = _NO_FOLDER

    def _one_object(self, attributes: Attributes) -> Attributes:
        return NO_ATTRIBUTES if attributes == NO_ATTRIBUTES else self._shared.setdefault(attributes, attributes)

    def _leave_out(self, path: str, reason: str) -> None:
        self.left_out.append(Omission(path, reason))
