"""An engine, and programs written on the spot."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.engine.engine import Engine
from lab.moto.server import EmbeddedAws

Write = Callable[..., Path]

PREAMBLE = """
import json
import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions as Options

config = pulumi.Config()
stack = pulumi.get_stack()
"""


@pytest.fixture
def engine(aws: EmbeddedAws, tmp_path: Path) -> Engine:
    return Engine(aws, tmp_path / "state")


@pytest.fixture
def program(tmp_path: Path) -> Write:
    """Write a project's folder; the same name again replaces its program."""

    def write(body: str, name: str = "sample", **files: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n")
        (folder / "__main__.py").write_text(PREAMBLE + textwrap.dedent(body))
        for file_name, content in files.items():
            (folder / f"{file_name}.py").write_text(textwrap.dedent(content))
        return folder

    return write


@pytest.fixture
def ec2(aws: EmbeddedAws) -> Any:
    return aws.client("ec2")
