"""Draw the rooms of the agent and the arrows between them, out of the import graph, as SVG.

`make generate` draws docs/rooms.svg. What a commit looked like: `python -m make.rooms --commit b36575a > drawing.svg`.
"""

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import grimp

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "openclaw_agent"
_LETTER, _ROW, _BOX, _GAP, _MARGIN, _HEAD = 6.6, 74, 24, 10, 16, 40


@dataclass(frozen=True, slots=True)
class House:
    """The rooms (modules and folders directly in the package) by floor, lowest first, and who imports whom."""

    floors: tuple[tuple[str, ...], ...]
    arrows: tuple[tuple[str, str], ...]

    @property
    def caption(self) -> str:
        """What is drawn, in numbers."""
        rooms = sum(len(floor) for floor in self.floors)
        return f"{rooms} rooms on {len(self.floors)} floors, {len(self.arrows)} arrows"


def read_house() -> House:
    """The house of the package as Python finds it now."""
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    rooms = sorted(graph.find_children(PACKAGE))
    arrows = [
        (one, other)
        for one in rooms
        for other in rooms
        if one != other and graph.direct_import_exists(importer=one, imported=other, as_packages=True)
    ]
    short = {room: room.removeprefix(f"{PACKAGE}.") for room in rooms}
    return house_of(short.values(), ((short[one], short[other]) for one, other in arrows))


def house_of(rooms: Iterable[str], arrows: Iterable[tuple[str, str]]) -> House:
    """Put each room on the lowest floor that is above all it imports.

    Raises:
        ValueError: when rooms import each other in a circle.
    """
    arrows = tuple(sorted(arrows))
    left, floors, placed = set(rooms), [], set[str]()
    while left:
        floor = tuple(sorted(room for room in left if all(to in placed for one, to in arrows if one == room)))
        if not floor:
            raise ValueError(f"These rooms import each other in a circle: {', '.join(sorted(left))}")
        floors.append(floor)
        placed |= set(floor)
        left -= placed
    return House(tuple(floors), arrows)


def draw(house: House) -> str:
    """The house as SVG: the highest floor at the top, so that every arrow points down."""
    widths = [sum(_width(room) + _GAP for room in floor) - _GAP for floor in house.floors]
    width = max(widths) + 2 * _MARGIN
    places: dict[str, tuple[float, float]] = {}
    for number, (floor, floor_width) in enumerate(zip(reversed(house.floors), reversed(widths), strict=True)):
        left = (width - floor_width) / 2
        for room in floor:
            places[room] = (left + _width(room) / 2, _HEAD + number * _ROW)
            left += _width(room) + _GAP
    height = _HEAD + (len(house.floors) - 1) * _ROW + _BOX + _MARGIN
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
            f' height="{height:.0f}" font-family="sans-serif" font-size="11">',
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="{_MARGIN}" y="22" font-size="13">{escape(house.caption)}</text>',
            *_lines(house, places),
            *_boxes(places),
            "</svg>\n",
        )
    )


def _width(room: str) -> float:
    return len(room) * _LETTER + 16


def _lines(house: House, places: dict[str, tuple[float, float]]) -> Iterator[str]:
    for one, other in house.arrows:
        (x1, y1), (x2, y2) = places[one], places[other]
        yield (
            f'<line x1="{x1:.0f}" y1="{y1 + _BOX:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#36c" stroke-opacity=".45">'
            f"<title>{escape(one)} imports {escape(other)}</title></line>"
        )


def _boxes(places: dict[str, tuple[float, float]]) -> Iterator[str]:
    for room, (x, y) in places.items():
        yield (
            f'<rect x="{x - _width(room) / 2:.0f}" y="{y:.0f}" width="{_width(room):.0f}" height="{_BOX}" rx="4"'
            ' fill="#eef3fb" stroke="#36c"/>'
            f'<text x="{x:.0f}" y="{y + 16:.0f}" text-anchor="middle">{escape(room)}</text>'
        )


def main() -> int:
    """Print the drawing of the working tree, or of a commit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", help="draw what this commit holds")
    commit = parser.parse_args().commit
    with tempfile.TemporaryDirectory(prefix="rooms-") as folder:
        if commit:
            command = ["git", "-C", str(REPOSITORY), "archive", commit, f"scripts/{PACKAGE}"]
            packed = subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")
            sys.path.insert(0, f"{folder}/scripts")
        sys.stdout.write(draw(read_house()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
