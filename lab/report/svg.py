"""A drill's timeline as one SVG element; colours and fonts are the style sheet's."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from lab.report.layout import LEFT, RIGHT, WIDTH, Badge, Bar, Item, Side, Tick, TrackRow, lay_out
from lab.report.record import DrillRecord, Severity, Span
from lab.report.text import mark_text, plain

BADGE_RADIUS = 9.0


def timeline_svg(record: DrillRecord, items: Sequence[Item]) -> ET.Element:
    """Draw a record's items: a row for each track in use, an axis in seconds, and a text for every mark."""
    layout = lay_out(record, items)
    described = plain(f"Timeline of drill {record.number}, {record.title}; the list below says the same in words")
    box = f"0 0 {WIDTH:g} {layout.height:.1f}"
    svg = ET.Element("svg", {"viewBox": box, "class": "timeline", "role": "group", "aria-label": described})
    plot_bottom = layout.rows[-1].top + layout.rows[-1].height if layout.rows else 0.0
    for count, row in enumerate(layout.rows):
        _draw_track(svg, row, shaded=count % 2 == 0)
    for tick in layout.ticks:
        _draw_tick(svg, tick, plot_bottom)
    for disaster in layout.disasters:
        x = f"{disaster:.1f}"
        ET.SubElement(svg, "line", {"class": "disaster", "x1": x, "x2": x, "y1": "0", "y2": f"{plot_bottom:.1f}"})
    for row in layout.rows:
        for badge in row.badges:
            _draw_line(svg, badge)
        for bar in row.bars:
            _draw_bar(svg, bar)
        for badge in row.badges:
            _draw_badge(svg, badge)
    return svg


def _draw_track(svg: ET.Element, row: TrackRow, *, shaded: bool) -> None:
    box = {"x": "0", "y": f"{row.top:.1f}", "width": f"{WIDTH:g}", "height": f"{row.height:.1f}"}
    ET.SubElement(svg, "rect", {"class": "track shaded" if shaded else "track", **box})
    name = ET.SubElement(svg, "text", {"class": "track-name", "x": "10", "y": f"{row.top + 20:.1f}"})
    name.text = row.track.value


def _draw_tick(svg: ET.Element, tick: Tick, bottom: float) -> None:
    x = f"{tick.x:.1f}"
    ET.SubElement(svg, "line", {"class": "grid", "x1": x, "x2": x, "y1": "0", "y2": f"{bottom + 5:.1f}"})
    # The first label would otherwise run into the tracks' names, the last one out of the picture.
    anchor = "end" if tick.x > RIGHT - 12 else "middle" if tick.x > LEFT + 1 else "start"
    text = ET.SubElement(svg, "text", {"class": "tick", "x": x, "y": f"{bottom + 20:.1f}", "text-anchor": anchor})
    text.text = f"{tick.seconds:g} s"


def _draw_bar(svg: ET.Element, bar: Bar) -> None:
    # A bar without a text has a badge, which is read aloud in its place.
    group = _mark(svg, bar.item, "bar", spoken=bool(bar.written))
    place = {"x": f"{bar.x:.1f}", "y": f"{bar.y:.1f}", "width": f"{bar.width:.1f}", "height": "20", "rx": "2.5"}
    ET.SubElement(group, "rect", place)
    if bar.written:
        text = ET.SubElement(group, "text", {"x": f"{bar.x + 6:.1f}", "y": f"{bar.y + 14.2:.1f}"})
        text.text = plain(bar.written)


def _draw_line(svg: ET.Element, badge: Badge) -> None:
    bend = max(badge.at_y, badge.y - BADGE_RADIUS - 3)
    points = f"{badge.at_x:.1f},{badge.at_y:.1f} {badge.at_x:.1f},{bend:.1f} {badge.x:.1f},{badge.y:.1f}"
    ET.SubElement(svg, "polyline", {"class": f"leader {badge.item.what.severity}", "points": points})


def _draw_badge(svg: ET.Element, badge: Badge) -> None:
    """A circle is an event, a square belongs to a bar too narrow for its number, and what is bad has corners cut."""
    group = _mark(svg, badge.item, "badge")
    r = BADGE_RADIUS
    if isinstance(badge.item.what, Span):
        box = {"x": f"{badge.x - r:.1f}", "y": f"{badge.y - r:.1f}", "width": f"{2 * r:g}", "height": f"{2 * r:g}"}
        ET.SubElement(group, "rect", {**box, "rx": "2.5"})
    elif badge.item.what.severity is Severity.BAD:
        corners = ((-r, -r / 2.4), (-r / 2.4, -r), (r / 2.4, -r), (r, -r / 2.4))
        around = [*corners, *((-x, -y) for x, y in corners)]
        points = " ".join(f"{badge.x + x:.1f},{badge.y + y:.1f}" for x, y in around)
        ET.SubElement(group, "polygon", {"points": points})
    else:
        ET.SubElement(group, "circle", {"cx": f"{badge.x:.1f}", "cy": f"{badge.y:.1f}", "r": f"{r:g}"})
    text = ET.SubElement(group, "text", {"x": f"{badge.x:.1f}", "y": f"{badge.y + 3.6:.1f}", "text-anchor": "middle"})
    text.text = str(badge.item.number)
    if badge.side is not None:
        anchor = "start" if badge.side is Side.RIGHT else "end"
        place = {"x": f"{badge.x + badge.side.value * (r + 5):.1f}", "y": f"{badge.y + 4:.1f}", "text-anchor": anchor}
        ET.SubElement(group, "text", {"class": "beside", **place}).text = plain(badge.item.what.text)


def _mark(svg: ET.Element, item: Item, kind: str, *, spoken: bool = True) -> ET.Element:
    said = mark_text(item)
    read = {"role": "img", "aria-label": said} if spoken else {"aria-hidden": "true"}
    group = ET.SubElement(svg, "g", {"class": f"{kind} {item.what.severity}", **read})
    ET.SubElement(group, "title").text = said
    return group
