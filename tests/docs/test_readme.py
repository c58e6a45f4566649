import re
import shlex
from pathlib import Path

from make.generate import generated, pages
from make.tables import TABLES, names_of_tables
from openclaw_agent.cli import backup, lifecycle, restore
from openclaw_ec2_spot.config_keys import Ec2SpotSettings
from openclaw_platform.config_keys import PlatformSettings

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
MAKE_TARGETS = set(re.findall(r"^([a-z0-9-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
PARSERS = {
    "openclaw-s3-backup.py": backup.parser,
    "openclaw-s3-restore.py": restore.parser,
    "openclaw-s3-lifecycle.py": lifecycle.parser,
}


def commands_in_readme() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    return [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def test_make_generate_would_change_nothing() -> None:
    assert [str(path.relative_to(REPOSITORY)) for path, text in generated() if path.read_text() != text] == []


def test_each_table_is_in_one_place_of_the_docs() -> None:
    found = [name for page in pages() for name in names_of_tables(page.read_text())]

    assert sorted(found) == sorted(TABLES)


def test_each_make_target_of_the_readme_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", README))
    assert {"lab", "test"} <= named
    assert named <= MAKE_TARGETS


def test_each_agent_command_of_the_readme_is_accepted_by_its_parser() -> None:
    accepted = 0
    for line in commands_in_readme():
        words = shlex.split(line, comments=True)
        for name, parser in PARSERS.items():
            if name in words:
                parser().parse_args(words[words.index(name) + 1 :])
                accepted += 1
    assert accepted >= 8


def test_each_config_key_that_the_readme_sets_exists() -> None:
    keys = {row.name for row in (*Ec2SpotSettings.rows(), *PlatformSettings.rows())}
    named = {key for key in re.findall(r"pulumi config set ([a-z_:]+)", README) if ":" not in key}
    assert {"availability_zone", "instance_type"} <= named
    assert named <= keys


def test_each_file_that_the_readme_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert all((REPOSITORY / link).exists() for link in links)
