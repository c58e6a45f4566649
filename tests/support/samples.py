"""What `make test` tries in samples, and `make test-agent` in full."""

import os

# Set to try everything of it.
IN_FULL = "OPENCLAW_EVERY_EXAMPLE" in os.environ
LEAST = 10


def examples(in_full: int) -> int:
    """How many examples a property is tried on."""
    return in_full if IN_FULL else max(LEAST, in_full // 4)
