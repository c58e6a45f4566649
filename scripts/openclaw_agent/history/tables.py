"""The one style of a table: columns two spaces apart, headings in lower case, numbers to the right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of as many cells; `right` are the headings whose column is set to the right."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str] = frozenset()

    def plain(self) -> str:
        """The table as text, without spaces at the ends of lines."""
        lines = [self.headings, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.headings))]
        return "\n".join("  ".join(self._cells(line, widths)).rstrip() for line in lines)

    def _cells(self, line: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
        for heading, cell, width in zip(self.headings, line, widths, strict=True):
            yield cell.rjust(width) if heading in self.right else cell.ljust(width)


def size_words(size: int | None) -> str:
    """Return a size as people read it, with one decimal above a KiB; `-` for none."""
    if size is None:
        return "-"
    sign, number = ("-" if size < 0 else ""), float(abs(size))
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < KIB:
            return f"{sign}{number:.0f} {unit}" if unit == "B" else f"{sign}{number:.1f} {unit}"
        number /= KIB
    return f"{sign}{number:.1f} TiB"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a number and its noun, in the singular for one."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def safe(text: str) -> str:
    """Return a name that a terminal shows and does not obey."""
    return text if text.isprintable() else ascii(text)
