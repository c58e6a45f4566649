"""Breaking a run at its n-th request or system call, whatever function of the agent makes it."""

import contextlib
import io
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn
from unittest import mock

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import URLLib3Session
from urllib3.response import HTTPResponse

from openclaw_agent.fs.confined import ConfinedDir
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


def raising(problem: BaseException) -> Callable[..., NoReturn]:
    def fail(*_arguments: object, **_options: object) -> NoReturn:
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


@contextlib.contextmanager
def answered(*answers: tuple[Mapping[str, str], bytes]) -> Iterator[list[str]]:
    """Answer the requests of boto3 with these heads and bodies, one after the other; yields the methods asked for."""
    left = list(answers)
    methods: list[str] = []

    def send(_self: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        methods.append(str(request.method))
        head, body = left.pop(0)
        raw = HTTPResponse(io.BytesIO(body), head, 200, preload_content=False)
        return AWSResponse(request.url, 200, HTTPHeaders.from_dict(head), raw)

    with mock.patch.object(URLLib3Session, "send", send):
        yield methods


@contextlib.contextmanager
def at_second_opening_of(path: str, happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen before a file of the state folder is opened for the second time, once."""
    watch = _Watch(happens, nth=2, after=False, again=False)
    wanted = lambda arguments: arguments[1] == path  # noqa: E731
    with mock.patch.object(ConfinedDir, "open", watch.around(ConfinedDir.open, wanted)):
        yield
    assert watch.happened, f"{path} was not opened twice"


@contextlib.contextmanager
def at_sqlite_opening(happens: Callable[[], object]) -> Iterator[None]:
    """Let something happen before SQLite opens a database that is in use, which the agent names by a URI."""
    watch = _Watch(happens, nth=1, after=False, again=True)
    wanted = lambda arguments: str(arguments[0]).startswith("file:")  # noqa: E731
    with mock.patch.object(sqlite3, "connect", watch.around(sqlite3.connect, wanted)):
        yield


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
