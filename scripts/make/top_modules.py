"""Count the modules that lie directly in the agent's package; a ninth belongs into a room, and fails `make lint`."""

import sys
from pathlib import Path

AGENT = Path(__file__).resolve().parents[1] / "openclaw_agent"
MOST = 8


def main() -> int:
    """Print the count; the exit code is 1 above the limit."""
    modules = sorted(path.name for path in AGENT.glob("*.py"))
    print(f"scripts/openclaw_agent: {len(modules)} modules beside its rooms, at most {MOST} ({', '.join(modules)})")
    return int(len(modules) > MOST)


if __name__ == "__main__":
    sys.exit(main())
