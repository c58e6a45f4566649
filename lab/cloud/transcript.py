"""Type the runbook's lines in `make cloud`, and keep what was typed and printed as docs/runbook-transcript.md.

`make transcript` writes the page, with `--check` it names what would change and ends with 1. Times, sums, ids and
prices are replaced, and the CLI's lines about resources are sorted and folded: two runs make one page.
"""

from __future__ import annotations

import argparse
import difflib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path

from lab.cloud.session import Session, cloud_session
from lab.moto.errors import ServerFailed
from lab.provider.cli import REPOSITORY
from lab.resources.errors import EngineError

PAGE = REPOSITORY / "docs" / "runbook-transcript.md"
REGION, STACK = "me-central-1", "dev"
CHAPTERS: dict[str, tuple[str, ...]] = {
    "What does it cost?": ('make ec2-spot-prices INSTANCE_TYPES="t4g.small t4g.medium" REGION=me-central-1',),
    "The platform, then the instance, as the notes have it": (
        "cd platform",
        "pulumi up",
        "cd ../ec2-spot",
        "pulumi config set instance_type t4g.small",
        "pulumi config set availability_zone me-central-1a",
        "pulumi up",
    ),
    "A change, looked at before it is made": (
        "pulumi config set backup_interval_minutes 30",
        "pulumi preview --diff",
        "pulumi destroy",
        "cd ..",
    ),
    "Both halves by make": ("make up", "make outputs"),
    "Pause, resume, look at the backups": (
        "make pause STACK=dev",
        "make resume STACK=dev",
        ".venv/bin/python scripts/openclaw-s3-restore.py list --bucket openclaw-lab-backup-dev-123456789012 "
        "--region me-central-1",
    ),
    "End it": ("make destroy",),
}
HEAD = """# The runbook, typed

Written by `make transcript`, out of `lab/cloud/transcript.py`: it types these lines in `make cloud`, on the embedded
AWS and with the real Pulumi CLI. Nobody answers there, so `YES=1` and `PULUMI_SKIP_CONFIRMATIONS=true` stand for the
person who says yes. Prices are invented, and left out; no instance is booted (`make lab` does that), so there are no
backups to list. Times, sums and ids are replaced, and lines about resources and outputs are sorted and folded.
`make test-engine` types it again and compares.
"""
# Each line is typed as at a prompt: the next one knows the folder that it has changed to.
TYPE = r"""
exec </dev/null 2>&1
make() { command make -s -o .venv/.ready "$@"; }
while IFS= read -r line <&3; do
    printf '\n\036%s\n' "$line"
    eval "$line" 3<&-
    printf '\n\035%s\n' "$?"
done 3<"$1"
"""
SHOWN_WHOLE, SHOWN_OF_MANY = 6, 4
SORTED = {
    "resource": re.compile(r"^ (?:[-+~]{1,2}|>|<) +[a-z]+:\S+ "),
    "output": re.compile(r"^    [a-z_0-9]+ *: "),
    "price": re.compile(r"^t4g\."),
}
# Of `--diff`: the head of a resource's block, and a sentence between two.
BLOCK = re.compile(r"^    [-+~<>]{1,2} [a-z]+:\S+: \(|^[a-z]+: ")
NOISE = re.compile(
    r"^@ |^Loading|^Duration: |^ *pulumi:pulumi:Stack |\b(?:creat|updat|delet|replac)ing(?: replacement)? \(\d+s\)"
)
REPLACED = (
    (re.compile(r" \(\d+(?:\.\d+)?s\)"), ""),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<sha256>"),
    (re.compile(r"(?<=release )[0-9a-f]{12}\b"), "<release>"),
    (re.compile(r"(?<=settings )[0-9a-f]{8}\b"), "<sum>"),
    (re.compile(r"\b(vpc|subnet|sg|rtb|igw|vpce|lt|ami|i)-[0-9a-f]{8,17}\b"), r"\1-…"),
    (re.compile(r"\bin \d+(?:\.\d+)? s\b"), "in … s"),
    (re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    # The market moves while one looks at it.
    (re.compile(r"^(t4g\.\w+ +me-central-1\w +\d+ +\d+ ).*"), r"\1…"),
    (re.compile(r"^( +pulumi config set availability_zone me-central-1)\w$"), r"\1…"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:…"),
    # User-data as the preview prints it.
    (re.compile(r'"[A-Za-z0-9+/]{80,}=*(?:\.\.\.)?"?'), '"<base64>"'),
    (re.compile(r"\b[A-Za-z0-9+/]{120,}=*"), "<base64>"),
    (re.compile(r"[ \t]+$"), ""),
)


def page(session: Session) -> str:
    """Type everything, and return the page."""
    lines = [line for chapter in CHAPTERS.values() for line in chapter]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as typed:
        typed.write("".join(f"{line}\n" for line in lines))
        typed.flush()
        done = subprocess.run(  # noqa: S603 - our own script
            ["/bin/bash", "--norc", "-c", TYPE, "bash", typed.name],
            cwd=session.folder,
            # A terminal of one width, and no make above the ones that are typed.
            env={
                **{key: value for key, value in session.environment.items() if not key.startswith(("MAKE", "MFLAGS"))},
                **{"YES": "1", "PULUMI_SKIP_CONFIRMATIONS": "true", "COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1"},
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    parts = iter(done.stdout.split("\n\036")[1:])
    text = HEAD
    for title, chapter in CHAPTERS.items():
        text += f"\n## {title}\n\n```text\n"
        text += "\n".join(_told(next(parts), str(session.folder)) for _ in chapter)
        text += "\n```\n"
    return text


def _told(part: str, folder: str) -> str:
    line, _, rest = part.partition("\n")
    printed, _, code = rest.rpartition("\n\035")
    shown = [f"$ {line}", *stable(printed.replace(folder, "~/openclaw-lab"))]
    if code.strip() != "0":
        shown.append(f"[exit code {code.strip()}]")
    return "\n".join(shown)


def stable(printed: str) -> Iterator[str]:
    """Each line of an output that two runs have in common, with what differs replaced."""
    lines = [line for line in printed.splitlines() if not NOISE.search(line)]
    for pattern, instead in REPLACED:
        lines = [pattern.sub(instead, line) for line in lines]
    for kind, run in groupby(_blocks_sorted(lines), key=_kind):
        if kind == "":
            yield from _without_double_blanks(run)
            continue
        rows = sorted(run)
        yield from rows if len(rows) <= SHOWN_WHOLE else rows[:SHOWN_OF_MANY]
        if len(rows) > SHOWN_WHOLE:
            yield f"    … {len(rows) - SHOWN_OF_MANY} more"


def _kind(line: str) -> str:
    return next((kind for kind, pattern in SORTED.items() if pattern.match(line)), "")


def _blocks_sorted(lines: list[str]) -> Iterator[str]:
    """The blocks of a `--diff` come in the order in which they were ready."""
    heads = [number for number, line in enumerate(lines) if BLOCK.match(line)]
    if not any(line.startswith("    ") for line in (lines[number] for number in heads)):
        yield from lines
        return
    end = next((number for number, line in enumerate(lines) if line == "Resources:"), len(lines))
    yield from lines[: heads[0]]
    parts = [lines[start:stop] for start, stop in pairwise([*heads, end])]
    for part in sorted(parts, key=lambda part: (part[0].startswith(" "), part)):
        yield from part
    yield from lines[end:]


def _without_double_blanks(lines: Iterator[str]) -> Iterator[str]:
    previous = ""
    for line in lines:
        if line or previous:
            yield line
        previous = line


def main() -> int:
    """Write or check; the exit code is 1 when a check found something, or nothing could be typed."""
    parser = argparse.ArgumentParser(prog="make transcript", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where something would change")
    options = parser.parse_args()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="openclaw-cloud-") as folder,
            cloud_session(Path(folder), REGION, STACK) as session,
        ):
            text = page(session)
    except (EngineError, ServerFailed) as problem:
        print(problem, file=sys.stderr)
        return 1
    before = PAGE.read_text() if PAGE.exists() else ""
    if not options.check:
        PAGE.write_text(text)
        return 0
    changed = list(difflib.unified_diff(before.splitlines(), text.splitlines(), "docs", "typed", lineterm=""))
    print("\n".join(changed) or "docs/runbook-transcript.md is what was typed and printed.")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
