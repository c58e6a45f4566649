from pathlib import Path

import pytest

from openclaw_agent.run_record import RunRecord
from openclaw_agent.settings import Settings


def test_a_log_that_cannot_be_written_costs_the_line_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("a file where a folder is wanted")
    settings = Settings("bucket", "us-east-1", tmp_path, tmp_path, tmp_path / "log")
    assert RunRecord("backup", settings).write("done")["result"] == "done"
    assert "cannot be written" in caplog.text
