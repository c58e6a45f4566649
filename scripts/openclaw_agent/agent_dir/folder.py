"""The agent's own folder: its one lock, the place of captured files, and the records."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from openclaw_agent.agent_dir.aside import AsideRecords
from openclaw_agent.agent_dir.records import Records
from openclaw_agent.errors import LocalStorageError, Refused
from openclaw_agent.fs.removal import remove_tree


class AgentDir:
    """The agent's own folder; `records` are those that lie in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = Records(folder)

    @property
    def clone_dir(self) -> Path:
        """Where captured files wait for their upload."""
        return self.folder / "clone"

    @property
    def aside(self) -> AsideRecords:
        """What restores have made, and how far they got."""
        return AsideRecords(self.folder)

    def prepare(self) -> None:
        """Create the folder.

        Raises:
            LocalStorageError: when it cannot be created or written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as problem:
            raise LocalStorageError(
                f"The agent's folder {self.folder} cannot be created ({problem.strerror}); "
                "run as root, or set OPENCLAW_AGENT_DIR to a folder of yours."
            ) from problem

    @contextlib.contextmanager
    def locked(self, *, wait: bool) -> Iterator[None]:
        """Hold the one lock under which backups and restores run; the kernel frees it when the process dies.

        Raises:
            Refused: when another run holds it and `wait` is false.
        """
        self.prepare()
        with self._opened_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as held:
                raise Refused("Another backup or restore is running on this machine; this one did nothing.") from held
            self.records.take_over_names_of_0_1_0()
            yield

    def _opened_lock(self) -> IO[str]:
        try:
            return (self.folder / "lock").open("w")
        except OSError as problem:
            raise LocalStorageError(
                f"The agent's folder {self.folder} cannot be written ({problem.strerror}); "
                "run as root, or set OPENCLAW_AGENT_DIR to a folder of yours."
            ) from problem

    def fresh_clone_dir(self) -> Path:
        """An empty folder for captured files; what an earlier run left there is removed.

        Raises:
            LocalStorageError: when it cannot be created.
        """
        self.drop_clone()
        try:
            self.clone_dir.mkdir(mode=0o700)
        except OSError as problem:
            raise LocalStorageError(f"The folder {self.clone_dir} cannot be created ({problem.strerror}).") from problem
        return self.clone_dir

    def drop_clone(self) -> None:
        """Remove captured files; what is no folder is not ours."""
        with contextlib.suppress(OSError):
            if self.clone_dir.is_dir():
                remove_tree(self.clone_dir)
