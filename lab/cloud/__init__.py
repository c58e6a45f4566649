"""`make cloud`: the embedded AWS and the real Pulumi CLI for a person's own hands, without an AWS account."""

import sys
from pathlib import Path

# Behind everything else: scripts/ holds the agent, of which the embedded AWS reads keys.
sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
