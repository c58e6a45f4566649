import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PURE_MODULES = (
    "bucket_layout",
    "commit_plan",
    "cost",
    "exclusions",
    "exit_codes",
    "guards",
    "manifest",
    "manifest_text",
    "ownership",
    "plain_objects",
    "restore_choice",
    "retention",
    "retention_report",
    "s3_errors",
    "snapshot_names",
    "transfers",
)


@pytest.mark.subprocess
def test_pure_logic_imports_no_aws_library() -> None:
    imports = "\n".join(f"import openclaw_agent.{name}" for name in PURE_MODULES)
    program = (
        f"{imports}\nimport sys\nprint([name for name in ('boto3', 'botocore', 'obstore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
