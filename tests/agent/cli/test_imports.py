import subprocess
import sys
from pathlib import Path

import pytest

from lab.host.deadline import scaled

pytestmark = pytest.mark.subprocess

SCRIPTS = Path(__file__).parents[3] / "scripts"
COMMANDS = ("fetch-secrets", "s3-backup", "s3-lifecycle", "s3-restore", "spot-watch")
# They take longer to load than all of the agent.
HEAVY = ("boto3", "botocore", "obstore", "pathspec")
SAY_WHAT_IS_LOADED = f"print('loaded:', *sorted(sys.modules.keys() & set({HEAVY!r})), file=sys.stderr)"


def loaded(code: str, *arguments: str) -> tuple[str, list[str]]:
    """What the code prints in an interpreter of its own, and which heavy modules it has loaded by its end."""
    program = f"import atexit, runpy, sys; atexit.register(lambda: {SAY_WHAT_IS_LOADED}); {code}"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=scaled(60)
    )
    assert done.returncode == 0, done.stderr
    answer = done.stderr.splitlines()[-1]
    assert answer.startswith("loaded:")
    return done.stdout, answer.split()[1:]


def test_the_watch_loads_nothing_of_aws() -> None:
    assert loaded(f"sys.path.insert(0, {str(SCRIPTS)!r}); import openclaw_agent.cli.spot_watch") == ("", [])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_of_aws(command: str) -> None:
    script = str(SCRIPTS / f"openclaw-{command}.py")
    text, modules = loaded(f"runpy.run_path({script!r}, run_name='__main__')", "--help")
    assert text.startswith(f"usage: openclaw-{command}.py")
    assert modules == []


def test_a_bucket_loads_boto3_at_once_and_obstore_with_the_first_transfer() -> None:
    code = (
        f"sys.path.insert(0, {str(SCRIPTS)!r}); from openclaw_agent.store.bucket import Bucket; "
        "bucket = Bucket('b', 'me-central-1', attempts=1, stall_seconds=1)"
    )
    assert loaded(code)[1] == ["boto3", "botocore"]
    assert loaded(f"{code}; bucket.upload([])")[1] == ["boto3", "botocore", "obstore"]
