"""What a child process may use. Pure."""

from dataclasses import dataclass, replace

MIB = 1024 * 1024
GIB = 1024 * MIB
# SQLite needs a few; what it opens beyond is nothing it was asked for.
OPEN_FILES = 64
MEMORY_BYTES = 256 * MIB
SECONDS_FOR_ANY = 10.0
# A processor core of the smallest instances checks some 100 MiB a second.
SECONDS_A_GIB = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one child: seconds by the clock and of processor time, bytes of memory beyond what it starts with.

    `file_bytes` is how long a file may become that it writes.
    """

    seconds: float
    file_bytes: int
    memory_bytes: int = MEMORY_BYTES
    open_files: int = OPEN_FILES

    def within(self, seconds: float) -> "Limits":
        """The same, but for the time."""
        return replace(self, seconds=seconds)


def limits_for(size: int) -> Limits:
    """Those of work on `size` bytes: time grows with them, memory does not."""
    return Limits(seconds=SECONDS_FOR_ANY + SECONDS_A_GIB * size / GIB, file_bytes=size + 64 * MIB)
