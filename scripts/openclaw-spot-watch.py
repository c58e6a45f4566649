#!/usr/bin/env python3
"""Run openclaw_agent.cli.spot_watch, installed or from the repository."""

import sys
from pathlib import Path

_INSTALLED = Path("/opt/openclaw-agent/current/lib")
_HERE = Path(__file__).resolve().parent
sys.path.append(str(_HERE if (_HERE / "openclaw_agent").is_dir() else _INSTALLED))

try:
    from openclaw_agent.cli.frame import exit_now
    from openclaw_agent.cli.spot_watch import main
except ModuleNotFoundError as missing:
    sys.exit(f"{Path(__file__).name}: the Python package {missing.name!r} is not installed; run: make setup")

if __name__ == "__main__":
    exit_now(main())
