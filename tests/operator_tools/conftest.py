from pathlib import Path

import pytest
from botocore.loaders import create_loader

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
