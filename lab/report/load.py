"""Reads drill records that somebody else may have edited; whatever is wrong with them is one sentence."""

import math
from collections.abc import Iterator
from pathlib import Path

from lab.report.record import DrillRecord, decode_records


class UnreadableRecords(Exception):
    """A file that does not hold the records of drills; its text is the sentence for the user."""


def read_records(path: Path) -> list[DrillRecord]:
    """Read the records of a JSON file.

    Raises:
        UnreadableRecords: there is no such file, or something in it is not what `encode_records` writes.
    """
    try:
        records = decode_records(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableRecords(f"The records {path} cannot be read: {error.strerror or error}.") from error
    except KeyError as error:
        raise UnreadableRecords(f"{path} holds no records of drills: one lacks {error}.") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise UnreadableRecords(f"{path} holds no records of drills: {reason}.") from error
    for record in records:
        wrong = next(_wrong_values(record), None)
        if wrong is not None:
            raise UnreadableRecords(f"{path} holds no records of drills: {wrong}.")
    return records


def _wrong_values(record: DrillRecord) -> Iterator[str]:
    """JSON's values of the wrong type pass the dataclasses unseen."""
    if not isinstance(record.checks, list):
        yield f"{record.checks!r} is no list of checks"
        return
    texts = [record.name, record.title, record.what_happened, record.failure, record.skipped, *record.checks]
    texts += [event.text for event in record.events] + [span.text for span in record.spans]
    yield from (f"{text!r} is no text" for text in texts if not isinstance(text, str))
    numbers = [record.number, record.seconds, record.lost_seconds or 0, record.ready_seconds or 0]
    numbers += [event.at for event in record.events]
    numbers += [moment for span in record.spans for moment in (span.began, span.ended)]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            yield f"{number!r} is no number"
    yield from (f"the span {span.text!r} ends before it begins" for span in record.spans if span.ended < span.began)
