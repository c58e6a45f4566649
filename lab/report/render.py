"""The report of `make drills`: one HTML file that shows each drill's timeline and opens without a server.

Run as `python -m lab.report.render RECORDS.json OUT.html`, it renders the records of an earlier run again.
"""

import argparse
import html
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template

from lab.report.layout import Item, numbered
from lab.report.load import UnreadableRecords, read_records
from lab.report.record import DrillRecord
from lab.report.svg import timeline_svg
from lab.report.text import (
    SEVERITY_TEXTS,
    SIGNS,
    VERDICT_SIGNS,
    lost_text,
    plain,
    ready_text,
    seconds_text,
    verdict,
    when_text,
)

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
    page = _template("report.html.tmpl").substitute(
        style=(FOLDER / "report.css").read_text(encoding="utf-8"),
        verdict=_whole_verdict(records),
        headline=_escaped(_headline(records)),
        made_at=_escaped(f"{made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"),
        gateway=_escaped(gateway),
        summary_rows=_html(_summary_rows(records)),
        cards="\n".join(_card(record) for record in records),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")


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


def _summary_rows(records: Sequence[DrillRecord]) -> ET.Element:
    body = ET.Element("tbody")
    for record in records:
        row = ET.SubElement(body, "tr", {"class": verdict(record)})
        _cell(row, str(record.number))
        link = ET.SubElement(ET.SubElement(row, "td"), "a", {"href": f"#drill-{record.number}"})
        link.text = plain(record.title or record.name)
        happened = _cell(row, record.what_happened)
        if record.failure or record.skipped:
            ET.SubElement(happened, "span", {"class": "why"}).text = plain(record.failure or record.skipped)
        _cell(row, lost_text(record), "number")
        _cell(row, ready_text(record), "number")
        _cell(row, f"{VERDICT_SIGNS[verdict(record)]} {verdict(record)}", f"verdict {verdict(record)}")
    return body


def _card(record: DrillRecord) -> str:
    items = numbered(record)
    return _template("report_card.html.tmpl").substitute(
        verdict=verdict(record),
        sign=VERDICT_SIGNS[verdict(record)],
        number=record.number,
        name=_escaped(record.name),
        title=_escaped(record.title),
        what_happened=_escaped(record.what_happened),
        failure=_html(_reason(record)),
        lost=_escaped(lost_text(record)),
        ready=_escaped(ready_text(record)),
        took=_escaped(seconds_text(record.seconds)),
        timeline=ET.tostring(timeline_svg(record, items), encoding="unicode") if items else "",
        listing=_html(_listing(items)) if items else "",
        checks=_html(_proofs(record)) if record.checks else "",
    )


def _reason(record: DrillRecord) -> ET.Element:
    if record.failure:
        reason = ET.Element("p", {"class": "failure", "role": "alert"})
        reason.text = plain(f"Failed: {record.failure}")
    else:
        reason = ET.Element("p", {"class": "skip"})
        reason.text = plain(f"Skipped: {record.skipped}") if record.skipped else ""
    return reason


def _listing(items: Sequence[Item]) -> ET.Element:
    table = ET.Element("table", {"class": "listing"})
    ET.SubElement(table, "caption", {"class": "unseen"}).text = "The timeline in words"
    heading = ET.SubElement(ET.SubElement(table, "thead", {"class": "unseen"}), "tr")
    for name in ("No.", "When", "Where", "What"):
        ET.SubElement(heading, "th", {"scope": "col"}).text = name
    body = ET.SubElement(table, "tbody")
    for item in items:
        row = ET.SubElement(body, "tr", {"class": item.what.severity.value})
        _cell(row, str(item.number), "number")
        _cell(row, when_text(item), "when")
        _cell(row, item.what.track.value, "track-cell")
        cell = ET.SubElement(row, "td")
        sign = ET.SubElement(cell, "span", {"class": "sign", "aria-hidden": "true"})
        sign.text, sign.tail = SIGNS[item.what.severity], plain(item.what.text)
        ET.SubElement(cell, "span", {"class": "unseen"}).text = f" ({SEVERITY_TEXTS[item.what.severity]})"
    return table


def _proofs(record: DrillRecord) -> ET.Element:
    section = ET.Element("section")
    ET.SubElement(section, "h3").text = "Checked"
    listed = ET.SubElement(section, "ul", {"class": "checks"})
    for check in record.checks:
        ET.SubElement(listed, "li").text = plain(check)
    return section


def _cell(row: ET.Element, text: str, kind: str = "") -> ET.Element:
    cell = ET.SubElement(row, "td", {"class": kind} if kind else {})
    cell.text = plain(text)
    return cell


def _template(name: str) -> Template:
    return Template((FOLDER / name).read_text(encoding="utf-8"))


def _escaped(text: str) -> str:
    return html.escape(plain(text))


def _html(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode", method="html")


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
