#!/usr/bin/env python3
"""Show spot prices of instance types in the zones of a region (`make ec2-spot-prices`)."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))

from operator_tools.prices.command import main

if __name__ == "__main__":
    sys.exit(main())
