"""Access control lists as the kernel hands them out in `system.posix_acl_access` (acl(5)). Pure.

Of a file that has one, the group bits of the mode are the list's mask: the most that any user or group it names may do,
not what the file's own group may.
"""

import struct

# linux/posix_acl_xattr.h
_VERSION = struct.Struct("<I")
_ROW = struct.Struct("<HHI")
_OWNER, _OWN_GROUP, _OTHERS = 0x01, 0x04, 0x20
_GROUP_BITS = 0o070


def mode_without(access_list: bytes, mode: int) -> int:
    """The mode of a file whose list cannot be kept: its group may do what the list gave it, and no more."""
    rights = {tag: right for tag, right, _ in _rows(access_list)}
    return mode & ~_GROUP_BITS | (mode & _GROUP_BITS & (rights.get(_OWN_GROUP, 0) << 3))


def only_basic(access_list: bytes) -> bytes:
    """The list without the users and groups that it names: it says what `mode_without` does."""
    kept = [row for row in _rows(access_list) if row[0] in (_OWNER, _OWN_GROUP, _OTHERS)]
    return access_list[: _VERSION.size] + b"".join(_ROW.pack(*row) for row in kept)


def _rows(access_list: bytes) -> list[tuple[int, int, int]]:
    text = access_list[_VERSION.size :]
    return list(_ROW.iter_unpack(text[: len(text) - len(text) % _ROW.size]))
