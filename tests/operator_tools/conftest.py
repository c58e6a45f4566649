from collections.abc import Callable
from pathlib import Path

import pytest
from botocore.loaders import create_loader

from operator_tools.program.main import main
from tests.support.operated_stack import REGION, OperatedStack

NO_CREDENTIALS = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nonexistent/config",
    "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
}
BOTOCORE_DESCRIPTIONS = create_loader()


@pytest.fixture(autouse=True)
def one_reading_of_botocore_s_descriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of EC2 is large: reading it again takes longer than a whole test."""
    monkeypatch.setattr("botocore.session.create_loader", lambda *_: BOTOCORE_DESCRIPTIONS)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of the environment's own AWS configuration nothing reaches the command but test credentials."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_EC2"):
        monkeypatch.delenv(name, raising=False)
    for name, value in NO_CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def lab(
    stack: OperatedStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`openclaw-lab WORDS` about the stack: its exit status, its output and its errors."""
    for name, value in stack.aws.environment.items():
        monkeypatch.setenv(name, value)
    # What is typed is about this stack in its region, as by STACK= and AWS_REGION.
    monkeypatch.setenv("STACK", stack.name)
    monkeypatch.setenv("PATH", "/nonexistent")

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = main(["--region", REGION, *words])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
