"""Shapes of a drill's timeline that are no plain element (timeline.svg.j2 draws the rest). Pure."""

from lab.report.layout import LEFT, RIGHT, Badge, Tick

BADGE_RADIUS = 9.0


def leader_points(badge: Badge) -> str:
    """Return the line from the moment itself to its badge."""
    bend = max(badge.at_y, badge.y - BADGE_RADIUS - 3)
    return f"{badge.at_x:.1f},{badge.at_y:.1f} {badge.at_x:.1f},{bend:.1f} {badge.x:.1f},{badge.y:.1f}"


def corner_points(badge: Badge) -> str:
    """Return a badge with its corners cut."""
    r = BADGE_RADIUS
    corners = ((-r, -r / 2.4), (-r / 2.4, -r), (r / 2.4, -r), (r, -r / 2.4))
    around = [*corners, *((-x, -y) for x, y in corners)]
    return " ".join(f"{badge.x + x:.1f},{badge.y + y:.1f}" for x, y in around)


def tick_anchor(tick: Tick) -> str:
    """Return which end of a label stands at its tick: the first would run into the names, the last out of sight."""
    return "end" if tick.x > RIGHT - 12 else "middle" if tick.x > LEFT + 1 else "start"


def tick_text(tick: Tick) -> str:
    """Return a tick's label."""
    return f"{tick.seconds:g} s"
