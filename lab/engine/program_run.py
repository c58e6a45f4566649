"""Runs a Pulumi program in this process as the CLI's language host does, but with a monitor of our own."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import contextvars
import importlib
import inspect
import os
import runpy
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.engine.monitor import Monitor, ProgramLog
from lab.resources.errors import EngineError, ProgramFailed

ONE_AT_A_TIME = threading.Lock()
"""The working directory, the module path and Pulumi's settings belong to the whole process."""
SPEAKING_ERRORS = (ValueError, RuntimeError, Exception, SystemExit)
"""Built-in exceptions whose text is a sentence by itself; others are shown with their name."""


@dataclass(frozen=True, slots=True)
class ProgramSettings:
    """What a program sees of its deployment."""

    program: Path
    project: str
    stack: str
    organization: str
    config: Mapping[str, str]
    secret_keys: Sequence[str]
    preview: bool


def run_program(settings: ProgramSettings, monitor: Monitor) -> None:
    """Run a program to its end, in a thread and a context of its own, so that nothing of the caller's is touched.

    Raises:
        EngineError: the program raised, or something that it registered was refused.
    """
    raised: list[BaseException] = []

    def work() -> None:
        try:
            _run_in_fresh_context(settings, monitor)
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread below
            raised.append(error)

    with ONE_AT_A_TIME, _as_the_language_host(settings.program):
        thread = threading.Thread(target=lambda: contextvars.Context().run(work), name=f"pulumi-{settings.stack}")
        thread.start()
        thread.join()
    failure = monitor.failure or (raised[0] if raised else None)
    if isinstance(failure, EngineError):
        raise failure
    if failure is not None:
        raise ProgramFailed(one_sentence(failure)) from failure


def one_sentence(error: BaseException) -> str:
    """Return an exception's text on one line, with its name where the text alone would not explain it."""
    text = " ".join(str(error).split())
    builtin = vars(builtins).get(type(error).__name__) is type(error)
    if text and (not builtin or type(error) in SPEAKING_ERRORS):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _run_in_fresh_context(settings: ProgramSettings, monitor: Monitor) -> None:
    from pulumi.runtime import config, run_in_stack
    from pulumi.runtime.settings import ROOT, Settings, configure

    ROOT.set(None)
    stub: Any = monitor
    log: Any = ProgramLog(monitor)
    configure(
        Settings(
            project=settings.project,
            stack=settings.stack,
            monitor=stub,
            engine=log,
            dry_run=settings.preview,
            organization=settings.organization,
            root_directory=str(settings.program),
        )
    )
    config.set_all_config(dict(settings.config), list(settings.secret_keys))

    def program() -> None:
        try:
            runpy.run_path(str(settings.program), run_name="__main__")
        except SystemExit as ended:
            if ended.code not in (None, 0):
                _give_up(monitor, ProgramFailed(f"The program ended with {ended.code}."), ended)
        except Exception as error:  # noqa: BLE001 - raised again
            _give_up(monitor, error)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # One worker: registrations are served one after the other in the order in which the program made them ready.
    loop.set_default_executor(ThreadPoolExecutor(max_workers=1))
    # Futures of resources that depend on a refused one end unobserved; the refusal itself is reported.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        loop.run_until_complete(run_in_stack(program))
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            _close_unawaited(task.get_coro())
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


def _close_unawaited(running: Any) -> None:
    """Close the coroutines that a cancelled one holds and will never await.

    Pulumi's outputs take coroutines and await them one after the other: cancelled in between, Python warns of the rest.
    """
    while inspect.iscoroutine(running) and running.cr_frame is not None:
        for held in running.cr_frame.f_locals.values():
            if inspect.iscoroutine(held) and inspect.getcoroutinestate(held) == inspect.CORO_CREATED:
                held.close()
        running = running.cr_await


def _give_up(monitor: Monitor, error: Exception, cause: BaseException | None = None) -> None:
    """A program that raised has scheduled registrations; the monitor must refuse them."""
    monitor.fail(error)
    raise error from cause


@contextlib.contextmanager
def _as_the_language_host(program: Path) -> Iterator[None]:
    """Change into the program's folder; afterwards restore the process and forget the program's own new modules."""
    folder = program if program.is_dir() else program.parent
    cwd, path, arguments = Path.cwd(), list(sys.path), list(sys.argv)
    writes_bytecode, modules = sys.dont_write_bytecode, set(sys.modules)
    # Cached bytecode is trusted by whole seconds, so a program that was just edited might run in its older form.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(cwd)
        sys.path[:] = path
        sys.argv[:] = arguments
        sys.dont_write_bytecode = writes_bytecode
        _forget_modules_of(folder, modules)


def _forget_modules_of(folder: Path, known: set[str]) -> None:
    """Let the next program import its own modules, even if they are called as this one's are.

    A virtual environment inside the folder is left alone, and so are packages that somebody else has begun to import.
    """
    tops = {name.partition(".")[0] for name in known}
    for name in set(sys.modules) - known:
        origin = getattr(sys.modules[name], "__file__", None)
        if origin is None or name.partition(".")[0] in tops or "site-packages" in origin:
            continue
        if Path(origin).is_relative_to(folder):
            del sys.modules[name]
