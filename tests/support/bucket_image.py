"""Taking a bucket's whole content, and putting it back, so that many crashes can start from one state."""

import http.client
import re
import threading
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape, unescape

from lab.host.deadline import scaled

LATEST_MANIFEST = "latest/manifest.json"
# moto wants to see a signature, and does not look at it.
_UNCHECKED = "AWS4-HMAC-SHA256 Credential=testing/20260302/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
_ROW = re.compile(r"<Key>(.*?)</Key>\s*<LastModified>(.*?)</LastModified>\s*<ETag>(.*?)</ETag>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, and when S3 took it (text that sorts by time)."""

    etag: str
    body: bytes
    modified: str


@dataclass(slots=True)
class BucketKeeper:
    """One bucket of at most 1,000 objects, looked at from outside of the agent and of the faulty network.

    It speaks HTTP without a signature, which the embedded AWS does not check: an SDK takes longer than the server.
    """

    endpoint: str
    bucket: str
    _bodies: dict[tuple[str, str], bytes] = field(default_factory=dict)
    _connection: http.client.HTTPConnection | None = None
    _one: threading.Lock = field(default_factory=threading.Lock)

    def start_empty(self) -> None:
        self._ask("PUT", "")
        if present := self.etags():
            self.delete(*present)

    def etags(self) -> dict[str, str]:
        return {key: etag for key, (etag, _modified) in self._listed().items()}

    def get(self, key: str) -> bytes:
        return self._ask("GET", key)

    def put(self, key: str, body: bytes) -> None:
        self._ask("PUT", key, body)

    def delete(self, *keys: str) -> None:
        rows = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        self._ask("POST", "", f"<Delete>{rows}</Delete>".encode(), query="?delete")

    def take(self) -> dict[str, Stored]:
        """Everything there is (bodies that were seen before are not fetched again)."""
        copy = {}
        for key, (etag, modified) in self._listed().items():
            if (key, etag) not in self._bodies:
                self._bodies[key, etag] = self.get(key)
            copy[key] = Stored(etag, self._bodies[key, etag], modified)
        return copy

    def put_back(self, copy: dict[str, Stored]) -> None:
        """Make the bucket hold exactly `copy`; what was newer stays no older than the rest."""
        present = self.etags()
        if present.keys() - copy.keys():
            self.delete(*(present.keys() - copy.keys()))
        stale = {key for key, stored in copy.items() if present.get(key) != stored.etag}
        if LATEST_MANIFEST in stale:
            # A restore compares when S3 took the manifests: those that came later must come later again.
            since = copy[LATEST_MANIFEST].modified
            stale |= {
                key for key, stored in copy.items() if key.endswith("/manifest.json") and stored.modified >= since
            }
        for key in sorted(stale, key=lambda name: (copy[name].modified, name.startswith("snapshots/"))):
            self.put(key, copy[key].body)

    def _listed(self) -> dict[str, tuple[str, str]]:
        text = self._ask("GET", "", query="?list-type=2").decode()
        return {
            unescape(key): (unescape(etag, {"&quot;": '"'}), modified) for key, modified, etag in _ROW.findall(text)
        }

    def _ask(self, method: str, key: str, body: bytes = b"", *, query: str = "") -> bytes:
        path = f"/{self.bucket}/{quote(key)}{query}"
        # Several threads look at a run that passes by.
        with self._one:
            if self._connection is None:
                address = urlsplit(self.endpoint)
                host, port = address.hostname or "", address.port or 80
                self._connection = http.client.HTTPConnection(host, port, timeout=scaled(60))
            try:
                self._connection.request(method, path, body or None, {"Authorization": _UNCHECKED})
                response = self._connection.getresponse()
                answer = response.read()
            except BaseException:
                self._connection.close()
                raise
        assert response.status < 300, (method, key, response.status, answer)
        return answer
