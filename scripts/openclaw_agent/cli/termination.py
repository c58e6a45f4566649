"""SIGTERM as an exception, so that a run that is stopped cleans up, logs and says so as any run that fails."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Termination:
    """Within the block SIGTERM interrupts what runs as Ctrl-C does; `received` tells the two apart."""

    def __init__(self) -> None:
        self.received = False
        self._catches = False

    def __enter__(self) -> Self:
        # Only the main thread may; and who has made the process ignore the signal wants that.
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._catches = in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if self._catches:
            signal.signal(signal.SIGTERM, self._interrupt)
        return self

    def hold(self) -> None:
        """From here on the run only ends: its log line, metrics and last act are not cut short."""
        if self._catches:
            signal.signal(signal.SIGTERM, _let_it_end)

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A last act may have put a handler of its own there.
        if self._catches and signal.getsignal(signal.SIGTERM) in (self._interrupt, _let_it_end):
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):
            raise KeyboardInterrupt
        # While transfers run it is asyncio's, which lets them end instead of closing the loop under them.
        interrupt(number, frame)


def _let_it_end(_number: int, _frame: FrameType | None) -> None:
    pass
