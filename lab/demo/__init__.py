"""`make lab`: the whole life of an instance on this machine, printed while it happens.

Each section checks what it says.
"""

import sys
from pathlib import Path

# Appended, never put first: the repository has a folder named like the standard library's `platform`.
sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
