"""The lines of a manifest, none longer than one of ours can be, whoever wrote it. Pure."""

from collections.abc import Iterable, Iterator

from openclaw_agent.errors import ManifestInvalid

# Of the header, and of an entry: its path, its target and 256 KiB of attributes, escaped.
MOST_LINE_BYTES = 1024 * 1024
# The last line names what was left out.
MOST_LAST_LINE_BYTES = 64 * 1024 * 1024
MOST_MANIFEST_BYTES = 256 * 1024 * 1024
MOST_ENTRIES = 1_000_000
_LAST_LINE = b"],"


def bounded_lines(text: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of an open file (or of any that gives lines), of which a longer one is not read to its end.

    Raises:
        ManifestInvalid: when a line, their number or their sum is larger than a manifest's.
    """
    total = 0
    for number, line in enumerate(_read_lines(text)):
        total += len(line)
        most = MOST_LAST_LINE_BYTES if line.startswith(_LAST_LINE) else MOST_LINE_BYTES
        if len(line) > most:
            raise ManifestInvalid(f"The manifest's line {number + 1} has more than {most:,} bytes.")
        if total > MOST_MANIFEST_BYTES:
            raise ManifestInvalid(f"The manifest has more than {MOST_MANIFEST_BYTES:,} bytes.")
        if number > MOST_ENTRIES + 1:
            raise ManifestInvalid(f"The manifest has more than {MOST_ENTRIES:,} entries.")
        yield line


def _read_lines(text: Iterable[bytes]) -> Iterator[bytes]:
    readline = getattr(text, "readline", None)
    if readline is None:
        yield from text
        return
    while line := readline(MOST_LINE_BYTES + 1):
        if len(line) > MOST_LINE_BYTES and line.startswith(_LAST_LINE):
            line += readline(MOST_LAST_LINE_BYTES + 1 - len(line))
        yield line
