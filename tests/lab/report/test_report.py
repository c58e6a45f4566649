import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab.host.deadline import scaled
from lab.report.record import DrillRecord, Event, Severity, Span, Track, encode_records
from lab.report.render import write_report
from lab.report.text import seconds_text
from tests.lab.sample_drills import sample_drills

REPOSITORY = Path(__file__).parents[3]
MADE_AT = datetime(2026, 2, 27, 11, 0, tzinfo=UTC)
VOID = {"meta", "br"}
HOSTILE = (
    '</svg></style><script>alert("1")</script><img src=x onerror=alert(1)> & \'"$style ${cards} \x00\ud800\u202e end'
)


class Page(HTMLParser):
    """Every element with its attributes, every text that is no style, and whether all that opens is closed."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def classes(self, tag: str) -> list[str]:
        return [attributes.get("class", "") for name, attributes in self.elements if name == tag]


def written(tmp_path: Path, records: list[DrillRecord], gateway: str = "OpenClaw 2026.9.6") -> str:
    target = tmp_path / "new folder" / "report.html"
    write_report(records, target, made_at=MADE_AT, gateway=gateway)
    return target.read_text(encoding="utf-8")


def drawings(source: str) -> list[ET.Element]:
    return [ET.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", source, re.DOTALL)]


def one(**fields: object) -> DrillRecord:
    return replace(DrillRecord(1, "power-cut", "The power goes"), **fields)  # type: ignore[arg-type]


def test_every_drill_and_every_event_span_and_check_is_in_it(tmp_path: Path) -> None:
    records = sample_drills()
    page = Page(written(tmp_path, records))

    marks = [
        attributes["aria-label"] for name, attributes in page.elements if "aria-label" in attributes and name == "g"
    ]
    for record in records:
        assert page.texts.count(record.name) >= 1
        assert record.title in page.text
        for check in record.checks:
            assert check in page.texts
    texts = [event.text for record in records for event in record.events]
    texts += [span.text for record in records for span in record.spans]
    for text in texts:
        assert text in page.texts
        assert any(text in mark for mark in marks)
    assert len(marks) == len(texts)
    assert "Made at 2026-02-27 11:00 UTC with the gateway: OpenClaw 2026.9.6" in page.text


def test_each_mark_can_be_read_aloud_and_pointed_at(tmp_path: Path) -> None:
    record = one(spans=[Span(1.0, 1.018, Track.FREEZE, "frozen", Severity.NEUTRAL)])
    (svg,) = drawings(written(tmp_path, [record]))

    (mark,) = svg.findall("g[@role]")
    said = "1. freeze, 1.00 to 1.02 s (18 ms): frozen (a step)"
    assert (mark.get("role"), mark.get("aria-label"), mark.findtext("title")) == ("img", said, said)


def test_each_drawing_is_well_formed_and_everything_in_it_is_inside(tmp_path: Path) -> None:
    found = drawings(written(tmp_path, sample_drills()))

    assert len(found) == 13
    for svg in found:
        width, height = (float(number) for number in svg.get("viewBox", "").split()[2:])
        for box in svg.iter("rect"):
            x, y, wide, high = (float(box.get(name, "nan")) for name in ("x", "y", "width", "height"))
            assert x >= 0
            assert y >= 0
            assert x + wide <= width
            assert y + high <= height
        for circle in svg.iter("circle"):
            assert 9 <= float(circle.get("cx", "nan")) <= width - 9


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    record = DrillRecord(
        1, HOSTILE, HOSTILE, HOSTILE, failure=HOSTILE, checks=[HOSTILE],
        events=[Event(1.0, Track.S3, HOSTILE, Severity.BAD)], spans=[Span(0.0, 900.0, Track.GATEWAY, HOSTILE)],
    )  # fmt: skip
    source = written(tmp_path, [record, one(skipped=HOSTILE)], gateway=HOSTILE)
    page = Page(source)

    assert {"script", "img"} & {name for name, _ in page.elements} == set()
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    shown = HOSTILE.replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert page.text.count(shown) >= 9
    assert "\x00" not in source
    assert len(drawings(source)) == 1


def test_nothing_is_fetched_from_anywhere(tmp_path: Path) -> None:
    source = written(tmp_path, sample_drills())
    page = Page(source)

    assert not {name for name, _ in page.elements} & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "base",
        "use",
        "image",
    }
    for _, attributes in page.elements:
        assert attributes.get("href", "#").startswith("#")
        assert "src" not in attributes
    assert not re.search(r"https?:|url\(|@import|//[a-z]", source)
    targets = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {attributes["href"][1:] for _, attributes in page.elements if "href" in attributes} == targets


def test_a_failed_drill_is_red_and_says_why_in_the_table_and_on_its_card(tmp_path: Path) -> None:
    page = Page(written(tmp_path, [one(), one(number=2, failure="expected 0, got 75")]))

    assert page.text.count("expected 0, got 75") == 2
    assert page.classes("article") == ["card passed", "card failed"]
    assert "headline failed" in page.classes("p")
    assert page.texts.count("✕ failed") == 2
    assert "1 of 2 passed, 1 failed." in page.texts


def test_a_skipped_drill_counts_neither_as_passed_nor_as_failed(tmp_path: Path) -> None:
    page = Page(written(tmp_path, [one(), one(number=2, skipped="needs root")]))

    assert page.classes("article") == ["card passed", "card skipped"]
    assert "1 of 2 passed, 1 skipped." in page.texts
    assert "headline passed" in page.classes("p")
    assert "Skipped: needs root" in page.texts


def test_no_drills_at_all_is_a_page_that_says_so(tmp_path: Path) -> None:
    page = Page(written(tmp_path, []))

    assert "no drill was run." in page.texts
    assert page.classes("article") == []


@pytest.mark.parametrize(
    ("lost", "ready", "words"),
    [(None, None, ["\N{EN DASH}"] * 2), (0.0, 0.0, ["nothing", "never away"]), (1.25, 33.4, ["1.2 s", "33 s"])],
    ids=["not about it", "nothing lost", "measured"],
)
def test_the_table_says_what_was_lost_and_when_the_gateway_was_ready(
    tmp_path: Path, lost: float | None, ready: float | None, words: list[str]
) -> None:
    source = written(tmp_path, [one(lost_seconds=lost, ready_seconds=ready)])

    row = ET.fromstring(re.findall(r"<tbody>.*?</tbody>", source, re.DOTALL)[0])
    assert [cell.text for cell in row.iter("td") if cell.get("class") == "number"] == words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.018, "18 ms"),
        (0.9999, "1.0 s"),
        (2.44, "2.4 s"),
        (9.96, "10 s"),
        (75.2, "75 s"),
        (725, "12 min 5 s"),
    ],
)
def test_durations_are_as_short_as_they_stay_exact_enough(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def render(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab.report.render", *map(str, arguments)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=scaled(60), check=False)


@pytest.mark.subprocess
def test_records_are_rendered_again_from_their_json(tmp_path: Path) -> None:
    (tmp_path / "records.json").write_text(encode_records(sample_drills()))

    done = render(tmp_path / "records.json", tmp_path / "out.html", "--gateway", "a stand-in")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'out.html'}: 12 of 14 passed, 1 failed, 1 skipped, at most 15 s")
    page = Page((tmp_path / "out.html").read_text())
    assert len(page.classes("article")) == 14
    assert "with the gateway: a stand-in" in page.text


GOOD = json.loads(
    encode_records([one(events=[Event(1.0, Track.S3, "read")], spans=[Span(2.0, 3.0, Track.S3, "put")])])
)[0]
BAD_RECORDS = {
    "no JSON": ("{", "holds no records of drills: Expecting property name"),
    "no list": ("{}x", "holds no records of drills: Extra data"),
    "no records": ("[1]", "holds no records of drills: 'int' object is not subscriptable"),
    "a number": ("7", "holds no records of drills: 'int' object is not iterable"),
    "a key lacks": ('[{"number": 1}]', "holds no records of drills: one lacks 'events'"),
    "a strange key": (json.dumps([{**GOOD, "colour": 1}]), "got an unexpected keyword argument 'colour'"),
    "a strange track": (json.dumps([{**GOOD, "events": [{**GOOD["events"][0], "track": "moon"}]}]), "'moon' is not a"),
    "no moment": (json.dumps([{**GOOD, "events": [{**GOOD["events"][0], "at": "soon"}]}]), "'soon' is no number"),
    "no end": (json.dumps([{**GOOD, "spans": [{**GOOD["spans"][0], "ended": float("inf")}]}]), "inf is no number"),
    "ends first": (json.dumps([{**GOOD, "spans": [{**GOOD["spans"][0], "ended": 1}]}]), "ends before it begins"),
    "no text": (json.dumps([{**GOOD, "title": 7}]), "7 is no text"),
    "no checks": (json.dumps([{**GOOD, "checks": None}]), "None is no list of checks"),
}


@pytest.mark.subprocess
@pytest.mark.parametrize(("content", "sentence"), BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_bad_records_are_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "records.json").write_text(content)

    done = render(tmp_path / "records.json", tmp_path / "out.html")

    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out.html").exists()


@pytest.mark.subprocess
def test_a_missing_file_and_an_impossible_target_are_one_sentence_each(tmp_path: Path) -> None:
    missing = render(tmp_path / "records.json", tmp_path / "out.html")
    (tmp_path / "records.json").write_text("[]")
    impossible = render(tmp_path / "records.json", tmp_path)

    assert missing.stderr == f"The records {tmp_path / 'records.json'} cannot be read: No such file or directory.\n"
    assert impossible.stderr == f"The report {tmp_path} cannot be written: Is a directory.\n"
    assert (missing.returncode, impossible.returncode) == (1, 1)
