"""What moves between the disk and the bucket, and the account of it. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from openclaw_agent.store.cost import request_cost

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A local file and the key it goes to; `size` in bytes."""

    source: Path
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Copy:
    """An object copied inside the bucket; `size` in bytes decides between one copy and a multipart copy."""

    source_key: str
    key: str
    size: int


@dataclass(frozen=True, slots=True)
class Download:
    """The keys that should hold some content, tried in order, and the local file it goes to (None only checks it).

    `sha256` is the digest it must have, or b"" where none is known. `size` is how many bytes it must have, of which
    `sparse_bytes` are said to be holes: a larger object is not read, and what are no holes must fit on the disk.
    """

    keys: tuple[str, ...]
    target: Path | None
    sha256: bytes
    size: int
    sparse_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One row of a listing; `size` in bytes."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Fetched:
    """An object's bytes, its ETag, and when S3 took it; of a first line alone also the object's `end`."""

    body: bytes
    etag: str
    modified: datetime
    end: bytes = b""


@dataclass(slots=True)
class Traffic:
    """What a run asked of S3: requests by kind, and bytes each way."""

    requests: Counter[str] = field(default_factory=Counter)
    uploaded_bytes: int = 0
    copied_bytes: int = 0
    downloaded_bytes: int = 0

    def facts(self) -> dict[str, object]:
        """The account for the log line: requests, bytes, and what the requests cost in USD."""
        return {
            "requests": dict(sorted(self.requests.items())),
            "bytes_uploaded": self.uploaded_bytes,
            "bytes_copied": self.copied_bytes,
            "bytes_downloaded": self.downloaded_bytes,
            "cost_usd": round(request_cost(self.requests), 7),
        }
