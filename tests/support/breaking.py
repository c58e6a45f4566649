"""Breaking a run at its n-th request or system call, whatever function of the agent makes it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from unittest import mock

from openclaw_agent.store.bucket import Bucket

REQUESTS = {
    "GET": ("get", "get_first_line"),
    "HEAD": ("etag",),
    "PUT": ("put", "put_file"),
    "LIST": ("list", "list_folders"),
    "UPLOAD": ("upload",),
    "COPY": ("copy",),
    "DOWNLOAD": ("download",),
    "DELETE": ("delete",),
    # All but the listings, which change nothing and decide little.
    "ANY": ("get", "get_first_line", "etag", "put", "put_file", "upload", "copy", "delete"),
}


def raising(problem: BaseException) -> Callable[[], NoReturn]:
    def fail() -> NoReturn:
        raise problem

    return fail


@contextlib.contextmanager
def at_request(
    request: str,
    happens: Callable[[], object],
    *,
    nth: int = 1,
    after: bool = False,
    again: bool = False,
    must_happen: bool = True,
) -> Iterator[None]:
    """Let something happen before (or after) the n-th request of the block, once, or at each later one too.

    `request` is a verb with the beginning of a key (`PUT latest/`); of bulk requests, and of ANY, the verb alone.
    """
    verb, _, prefix = request.partition(" ")
    with contextlib.ExitStack() as patches:
        watch = _Watch(happens, nth=nth, after=after, again=again)
        for name in REQUESTS[verb]:
            method = getattr(Bucket, name)
            wanted = lambda arguments: not prefix or str(arguments[1]).startswith(prefix)  # noqa: E731
            patches.enter_context(mock.patch.object(Bucket, name, watch.around(method, wanted)))
        yield
    assert watch.happened or not must_happen, f"no {request} was made {nth} times"


@contextlib.contextmanager
def at_replacement_of(name: str, happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen before a file of this name is replaced (rename(2)), each time."""
    watch = _Watch(happens, nth=1, after=False, again=True)
    wanted = lambda arguments: os.path.basename(arguments[1]) == name  # noqa: E731, PTH119
    with mock.patch.object(os, "replace", watch.around(os.replace, wanted)):
        yield
    assert watch.happened, f"{name} was never replaced"


class _Watch:
    def __init__(self, happens: Callable[[], object], *, nth: int, after: bool, again: bool) -> None:
        self.happened = False
        self._happens = happens
        self._left = nth
        self._after = after
        self._again = again

    def around(self, call: Callable[..., Any], wanted: Callable[[tuple[Any, ...]], bool]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            now = wanted(arguments) and self._is_due()
            if now and not self._after:
                self._happens()
            result = call(*arguments, **options)
            if now and self._after:
                self._happens()
            return result

        return watched

    def _is_due(self) -> bool:
        self._left -= 1
        due = self._left == 0 or (self._again and self._left < 0)
        self.happened |= due
        return due
