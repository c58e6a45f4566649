import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from openclaw_agent.cli import backup, lifecycle, restore
from openclaw_agent.exit_codes import EXIT_CODE_MEANINGS
from openclaw_agent.retention.report import retention_policy_table
from openclaw_agent.store.cost import cost_table
from openclaw_ec2_spot.config_keys import EC2_SPOT_KEYS
from openclaw_platform.config_keys import PLATFORM_KEYS
from openclaw_platform.config_table import config_table_markdown

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


def exit_code_table() -> str:
    rows = [f"| {code.value} | {meaning} |" for code, meaning in EXIT_CODE_MEANINGS.items()]
    return "\n".join(["| Exit code | Meaning |", "| --- | --- |", *rows])


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("ec2_spot", lambda: config_table_markdown(EC2_SPOT_KEYS)),
        ("platform", lambda: config_table_markdown(PLATFORM_KEYS)),
        ("retention", retention_policy_table),
        ("exit", exit_code_table),
        ("cost", cost_table),
    ],
    ids=["ec2_spot", "platform", "retention", "exit codes", "cost"],
)
def test_each_table_of_the_readme_is_the_code_s_own(name: str, table: Callable[[], str]) -> None:
    found = re.search(rf"<!-- table:{name} -->\n(.*?)\n<!-- end -->", README, re.DOTALL)
    assert found is not None
    assert found.group(1).strip() == table().strip()


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
    keys = {row.name for row in (*EC2_SPOT_KEYS, *PLATFORM_KEYS)}
    named = {key for key in re.findall(r"pulumi config set ([a-z_:]+)", README) if ":" not in key}
    assert {"availability_zone", "instance_type"} <= named
    assert named <= keys


def test_each_file_that_the_readme_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert all((REPOSITORY / link).exists() for link in links)
