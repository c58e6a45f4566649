"""`make lab`: the whole life of an instance on this machine, shown while it happens.

Each chapter checks what it shows.
"""

import sys
from pathlib import Path

# Appended, never put first: the repository has a folder named like the standard library's `platform`.
sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
