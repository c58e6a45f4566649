#!/usr/bin/env python3
"""Show spot prices of instance types in the zones of a region (`make ec2-spot-prices`)."""

import sys
from pathlib import Path

# At the end of the path: the folder platform/ is called like a module of the standard library.
sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "platform"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "ec2_spot"))

from operator_tools.prices.command import main

if __name__ == "__main__":
    sys.exit(main())
