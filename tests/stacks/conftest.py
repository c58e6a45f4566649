import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Engine
from lab.moto.server import EmbeddedAws
from tests.support.repository_copy import copy_parts

REPOSITORY = Path(__file__).parents[2]
PROGRAM_FILES = ("Pulumi.yaml", "__main__.py", "platform", "ec2_spot", "cloud_init", "scripts")
ZONE = {"availability_zone": "us-east-1a"}


@dataclass(frozen=True, slots=True)
class Stacks:
    """One copy of the repository and the engine that deploys it; config is what `pulumi config set` would have set."""

    repository: Path
    engine: Engine
    wheels: Mapping[str, str]

    def platform(self, stack: str, **config: str) -> dict[str, Any]:
        return self.engine.up(self.repository / "platform", stack, {**self.wheels, **config})

    def instance(self, stack: str, **config: str) -> dict[str, Any]:
        return self.engine.up(self.repository / "ec2_spot", stack, {**ZONE, **config})

    def root(self, stack: str, **config: str) -> dict[str, Any]:
        return self.engine.up(self.repository, stack, {**self.wheels, **ZONE, **config})


@pytest.fixture(scope="session")
def aws(embedded_aws: EmbeddedAws) -> EmbeddedAws:
    """The worker's one server: stacks are told apart by their names."""
    return embedded_aws


@pytest.fixture(scope="session")
def stacks(aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """The real programs and files with one small wheel in place of the 28 MB of real ones, pinned in the same way."""
    folder = tmp_path_factory.mktemp("deployed")
    repository = folder / "repository"
    repository.mkdir()
    copy_parts(PROGRAM_FILES, repository)
    return Stacks(repository, Engine(aws, folder / "state"), pin_wheel(folder / "wheels", b"a wheel"))


@pytest.fixture(scope="session")
def dev(stacks: Stacks) -> dict[str, Any]:
    """Both stacks deployed under the name dev, with nothing configured but the zone; their outputs."""
    return {**stacks.platform("dev"), **stacks.instance("dev")}


@pytest.fixture
def other_wheel(tmp_path: Path) -> Mapping[str, str]:
    """Configuration that pins another wheel than the deployed stacks have."""
    return pin_wheel(tmp_path, b"another wheel")


def pin_wheel(folder: Path, content: bytes) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    (folder / "one-1.0-py3-none-any.whl").write_bytes(content)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"one==1.0 --hash=sha256:{hashlib.sha256(content).hexdigest()}\n")
    return {"wheels_folder": str(folder), "agent_requirements": str(requirements)}
