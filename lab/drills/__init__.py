"""`make drills`: every way in which a spot instance ends, rehearsed on this machine."""

import sys
from pathlib import Path

# Appended, never put first: the repository has a folder named like the standard library's `platform`.
sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
