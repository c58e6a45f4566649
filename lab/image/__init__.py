"""Root images to boot from: Debian, the layers on it, and the compose file as a unit.

Images are built once and cached below .cache/.
"""

import sys
from pathlib import Path

# Which OpenClaw is deployed is a row of the configuration. Appended, never put first: a folder there is named like the
# standard library's `platform`.
sys.path += [str(Path(__file__).resolve().parents[2] / package) for package in ("platform", "ec2_spot")]
