"""The report of `make drills`: one HTML file that shows each drill's timeline and opens without a server.

Run as `python -m lab.report.render RECORDS.json OUT.html`, it renders the records of an earlier run again.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from lab.report import svg, text
from lab.report.layout import WIDTH, lay_out, numbered
from lab.report.load import UnreadableRecords, read_records
from lab.report.record import DrillRecord
from lab.report.text import plain, seconds_text, verdict

FOLDER = Path(__file__).parent
NOT_SAID = "not recorded"


def write_report(records: Sequence[DrillRecord], target: Path, *, made_at: datetime, gateway: str) -> None:
    """Write the report of some drills into one file, in their order.

    Args:
        records: the drills; none is allowed.
        target: the HTML file; its folder is made where it is missing.
        made_at: when the drills ended.
        gateway: which gateway they ran with, in words.

    Raises:
        OSError: the file cannot be written.
    """
    page = (
        _templates()
        .get_template("report.html.j2")
        .render(
            # Ours, and no HTML: nothing in it is to be escaped.
            style=Markup((FOLDER / "report.css").read_text(encoding="utf-8")),  # noqa: S704
            whole_verdict=_whole_verdict(records),
            headline=_headline(records),
            made_at=f"{made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            gateway=gateway,
            records=records,
        )
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")


def _templates() -> Environment:
    """Templates in which every value is escaped, and none holds what cannot be written."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        finalize=_writable,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["px"] = "{:.1f}".format
    made.globals.update(
        WIDTH=WIDTH,
        RADIUS=svg.BADGE_RADIUS,
        SIGNS=text.SIGNS,
        SEVERITY_TEXTS=text.SEVERITY_TEXTS,
        VERDICT_SIGNS=text.VERDICT_SIGNS,
        lay_out=lay_out,
        numbered=numbered,
    )
    functions: list[Callable[..., str]] = [svg.leader_points, svg.corner_points, svg.tick_anchor, svg.tick_text]
    functions += [text.lost_text, text.ready_text, text.seconds_text, text.verdict, text.when_text, text.mark_text]
    made.globals.update({function.__name__: function for function in functions})
    return made


def _writable(value: object) -> object:
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _headline(records: Sequence[DrillRecord]) -> str:
    if not records:
        return "no drill was run."
    counts = {word: sum(verdict(record) == word for record in records) for word in ("passed", "failed", "skipped")}
    parts = [f"{counts['passed']} of {len(records)} passed"]
    parts += [f"{counts[word]} {word}" for word in ("failed", "skipped") if counts[word]]
    lost = [record.lost_seconds for record in records if record.lost_seconds is not None]
    ready = [record.ready_seconds for record in records if record.ready_seconds is not None]
    if lost:
        parts.append(f"at most {seconds_text(max(lost))} of work lost" if max(lost) else "no work lost")
    if ready:
        parts.append(f"ready again after {seconds_text(max(ready))} at the latest" if max(ready) else "never away")
    return ", ".join(parts) + "."


def _whole_verdict(records: Sequence[DrillRecord]) -> str:
    words = {verdict(record) for record in records}
    return "failed" if "failed" in words else "passed" if "passed" in words else "skipped"


def main(arguments: Sequence[str] | None = None) -> int:
    """Render records again and return the exit status; what is wrong is one sentence on standard error."""
    parser = argparse.ArgumentParser(prog="python -m lab.report.render", description="Render drill records as HTML.")
    parser.add_argument("records", type=Path, help="the JSON file that make drills has written")
    parser.add_argument("out", type=Path, help="the HTML file to write")
    parser.add_argument("--gateway", default=NOT_SAID, help="which gateway the drills ran with, in words")
    options = parser.parse_args(arguments)
    try:
        records = read_records(options.records)
        made_at = datetime.fromtimestamp(options.records.stat().st_mtime, UTC)
        write_report(records, options.out, made_at=made_at, gateway=options.gateway)
    except UnreadableRecords as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The report {options.out} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    print(f"{options.out}: {_headline(records)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
