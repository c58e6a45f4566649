"""Manifests, lease records and listings of a stranger: refused in our own words or built, never anything outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
EXAMPLES = int(os.environ.get("OPENCLAW_FUZZ_EXAMPLES", "200"))
SEED = int(os.environ.get("OPENCLAW_FUZZ_SEED", "1"))


@pytest.mark.subprocess
def test_a_hostile_document_is_refused_in_our_words_or_built_and_nothing_outside_changes() -> None:
    run = subprocess.run(
        [sys.executable, "-P", "-m", "tests.support.fuzzing", str(EXAMPLES), str(SEED)],
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'scripts'}:{REPOSITORY}"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    ended = json.loads(run.stdout)
    assert {*ended["manifests"]} == {"built", "ManifestInvalid"}
    assert {*ended["leases"]} == {"built", "LeaseInvalid"}
    assert {*ended["listings"]} == {"built"}
    # Neither is all but refused, nor all but taken.
    for kind in ("manifests", "leases"):
        assert min(ended[kind].values()) > EXAMPLES // 10
