"""Files that nobody can read, in a test that root runs too: without two capabilities a mode binds root as well."""

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

_VERSION_3 = 0x20080522  # linux/capability.h
_OVERRIDES = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def closed(*places: Path) -> Iterator[None]:
    """Nobody may read these files or folders within the block, not even root."""
    modes = {place: place.stat().st_mode for place in places}
    for place in places:
        place.chmod(0)
    header, data = _Header(_VERSION_3, 0), (_Data * 2)()
    _call(_libc.capget, header, data)
    before = data[0].effective
    data[0].effective = before & ~_OVERRIDES
    _call(_libc.capset, header, data)
    try:
        yield
    finally:
        data[0].effective = before
        _call(_libc.capset, header, data)
        for place, mode in modes.items():
            place.chmod(mode)


def _call(function: Callable[..., int], header: _Header, data: ctypes.Array[_Data]) -> None:
    if function(ctypes.byref(header), ctypes.byref(data)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
