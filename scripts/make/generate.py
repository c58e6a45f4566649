"""Write what is made from code: the `config:` sections of the Pulumi projects, and the tables and drawings of the docs.

`--check` writes nothing, names what would change, and ends with 1 then.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from make.rooms import draw, read_house
from make.tables import with_tables
from openclaw_ec2_spot.config_keys import Ec2SpotSettings, InstanceSettings
from openclaw_platform.config_keys import PlatformSettings
from openclaw_platform.config_table import ConfigKey, pulumi_config_schema

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECTS: dict[str, tuple[ConfigKey[Any], ...]] = {
    "Pulumi.yaml": (*InstanceSettings.rows(), *PlatformSettings.rows()),
    "platform/Pulumi.yaml": PlatformSettings.rows(),
    "ec2_spot/Pulumi.yaml": Ec2SpotSettings.rows(),
}
_CONFIG_MARK = (
    "# From here on written by `make generate`, out of platform/openclaw_platform/config_keys.py and\n"
    "# ec2_spot/openclaw_ec2_spot/config_keys.py.\n"
)


def pages(repository: Path = REPOSITORY) -> list[Path]:
    """README and every page of docs/."""
    return [repository / "README.md", *sorted((repository / "docs").rglob("*.md"))]


def generated(repository: Path = REPOSITORY) -> Iterator[tuple[Path, str]]:
    """Every file of which a part is generated, with the text that it must have."""
    for name, keys in PROJECTS.items():
        yield repository / name, _with_config((repository / name).read_text(), keys)
    for page in pages(repository):
        yield page, with_tables(page.read_text())
    yield repository / "docs" / "rooms.svg", draw(read_house())


def _with_config(project: str, keys: Iterable[ConfigKey[Any]]) -> str:
    head = project.split("# From here on written by", 1)[0]
    section = yaml.safe_dump({"config": pulumi_config_schema(keys)}, sort_keys=False, width=1000, allow_unicode=True)
    return head + _CONFIG_MARK + section


def main() -> int:
    """Write or check; the exit code is 1 when a check found something."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where something would change")
    check = parser.parse_args().check
    stale = [(path, text) for path, text in generated() if path.read_text() != text]
    for path, text in stale:
        if not check:
            path.write_text(text)
        print(f"{path.relative_to(REPOSITORY)}: {'run `make generate`' if check else 'written'}")
    if not stale:
        print("What is generated is as the code says.")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
