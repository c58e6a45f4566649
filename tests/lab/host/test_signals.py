"""How the lab's programs are ended, also where they were started with SIGINT ignored."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab.host.deadline import scaled

PROGRAM = f"""
import subprocess, sys, time
sys.path.append({str(Path(__file__).parents[3])!r})
from lab.host.signals import end_cleanly_on_signals
end_cleanly_on_signals()
try:
    print(subprocess.run(["grep", "SigIgn", "/proc/self/status"], capture_output=True, text=True).stdout, flush=True)
    time.sleep(60)
finally:
    print("cleaned up", flush=True)
"""
BIT_OF_SIGINT = 1 << (signal.SIGINT - 1)


@pytest.mark.subprocess
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "a polite kill"])
def test_a_program_started_with_sigint_ignored_is_interrupted_and_cleans_up_and_its_children_too(
    sent: signal.Signals,
) -> None:
    started = subprocess.Popen(
        ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh", sys.executable, "-P", "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert started.stdout is not None
    ignored_by_the_child = int(started.stdout.readline().split()[1], 16)
    started.send_signal(sent)
    said, _ = started.communicate(timeout=scaled(60))

    assert ignored_by_the_child & BIT_OF_SIGINT == 0
    assert "cleaned up" in said
    assert started.returncode != 0
