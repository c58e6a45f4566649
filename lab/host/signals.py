"""How the lab's programs are ended, however they were started."""

import signal
import sys


def end_cleanly_on_signals() -> None:
    """Let SIGTERM leave by the same door as Ctrl-C, so that no mount or bridge stays behind.

    A program started in the background of a script, or by nohup, has SIGINT ignored from the start, and its children
    with it.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
