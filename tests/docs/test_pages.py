import argparse
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from make.generate import generated, pages
from make.tables import TABLES, names_of_tables
from openclaw_agent.cli import backup, lab, lifecycle, restore
from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from openclaw_platform.config_keys import PlatformSettings
from operator_tools.power import command
from operator_tools.program.arguments import parse

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [*pages(), REPOSITORY / "CONTRIBUTING.md"]
ALL_PAGES = "\n".join(page.read_text() for page in PAGES)
MAKE_TARGETS = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "openclaw-s3-backup.py": backup.parser,
    "openclaw-s3-restore.py": restore.parser,
    "openclaw-s3-lifecycle.py": lifecycle.parser,
    "ec2-spot-power.py": command.parser,
}


def commands_in(text: str) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_make_generate_would_change_nothing() -> None:
    assert [str(path.relative_to(REPOSITORY)) for path, text in generated() if path.read_text() != text] == []


def test_each_table_is_in_one_place_of_the_docs() -> None:
    found = [name for page in pages() for name in names_of_tables(page.read_text())]

    assert sorted(found) == sorted(TABLES)


def test_the_readme_is_one_screen() -> None:
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 50


def test_each_make_target_of_the_docs_exists() -> None:
    named = {name for line in commands_in(ALL_PAGES) for name in re.findall(r"^make ([a-z0-9-]+)", line)}
    named |= set(re.findall(r"`make ([a-z0-9-]+)", ALL_PAGES))
    assert {"lab", "test", "drills"} <= named
    assert named <= MAKE_TARGETS


def test_each_command_of_the_docs_is_accepted_by_its_parser() -> None:
    accepted = 0
    for line in commands_in(ALL_PAGES):
        words = shlex.split(line, comments=True)
        for name, parser in PARSERS.items():
            for place in [number for number, word in enumerate(words) if word.endswith(name)]:
                parser().parse_args(words[place + 1 :])
                accepted += 1
    assert accepted >= 8


def test_each_line_of_the_program_in_the_docs_is_accepted() -> None:
    lines = [line for line in commands_in(ALL_PAGES) if re.match(r"(sudo |scripts/)?openclaw-lab ", line)]
    lines += re.findall(r"`(openclaw-lab [^`]+)`", ALL_PAGES)
    accepted = set()
    for line in lines:
        words = shlex.split(line, comments=True)
        if "--help" in words:
            continue
        own = words[2:] if words[0] == "sudo" else words[1:]
        accepted.add((lab.parser().parse_args(own) if words[0] == "sudo" else parse(own)).command)
    assert {"status", "restore", "tunnel", "secrets", "find", "diff", "snapshots", "cost", "doctor"} <= accepted


def test_each_config_key_that_the_docs_set_exists() -> None:
    keys = {row.name for row in (*Ec2SpotSettings.rows(), *PlatformSettings.rows())}
    named = {key for key in re.findall(r"pulumi config set ([a-z_:]+)", ALL_PAGES) if ":" not in key}
    assert {"availability_zone", "instance_type"} <= named
    assert named <= keys


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_each_file_that_a_page_links_to_exists_with_its_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if heading:
            anchors = {
                re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
                for title in re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            }
            assert heading in anchors, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_each_path_that_a_page_names_exists(page: Path) -> None:
    # Paths of the repository, as `scripts/make/rooms.py`; patterns and placeholders are none.
    roots = "scripts|platform|ec2_spot|cloud_init|lab|tests|bench|docs"
    named = re.findall(rf"`((?:{roots})/[A-Za-z0-9_./-]+)`", page.read_text())
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
