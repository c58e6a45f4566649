"""No network, no further process, no other program: a filter of system calls that a process puts on itself for good.

It needs neither privileges nor a namespace, which the units' RestrictNamespaces= would refuse.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from types import MappingProxyType

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2  # linux/seccomp.h
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | errno.EPERM
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/filter.h
_X32_CALLS = 0x40000000  # the second set of numbers of x86_64
_MOST_CALLS = 200

# Of asm/unistd.h: socket, socketpair, execve, execveat, fork, vfork, clone, clone3, ptrace, process_vm_readv,
# process_vm_writev, io_uring_setup, unshare, setns, mount, bpf, userfaultfd, kill, tkill, tgkill.
_REFUSED = MappingProxyType(
    {
        "x86_64": (
            0xC000003E,
            (41, 53, 59, 322, 57, 58, 56, 435, 101, 310, 311, 425, 272, 308, 165, 321, 323, 62, 200, 234),
        ),
        "aarch64": (
            0xC00000B7,
            (198, 199, 221, 281, 220, 435, 117, 270, 271, 425, 97, 268, 40, 280, 282, 129, 130, 131),
        ),
    }
)

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_all_but_files() -> None:
    """Let this process, until its end, open no socket, start nothing, and touch no other process (EPERM).

    Raises:
        OSError: when the kernel does not take the filter, or the machine is of an unknown kind.
    """
    machine = os.uname().machine
    if machine not in _REFUSED:
        raise OSError(errno.ENOSYS, f"no filter is known for {machine}")
    _call(_PR_SET_NO_NEW_PRIVS, 1, 0)
    code = _instructions(*_REFUSED[machine])
    program = _Program(len(code) // 8, code)
    _call(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(program))


def _instructions(architecture: int, refused: Sequence[int]) -> bytes:
    """The program of the filter, for what it decides by: the architecture, and the number of the call."""
    count = len(refused)
    rows = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_AT_LEAST, count + 1, 0, _X32_CALLS),
        # A jump counts the instructions that it passes over.
        *((_JUMP_IF_EQUAL, count - index, 0, number) for index, number in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    assert len(rows) < _MOST_CALLS  # noqa: S101 - jumps are of one byte
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


def _call(option: int, first: int, second: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(first), ctypes.c_ulong(second), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
