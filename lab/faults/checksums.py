"""What S3 does with a body whose bytes are not those that its headers promise (moto accepts anything)."""

import base64
import hashlib
import zlib
from collections.abc import Callable, Mapping

# Header to digest of the body, as text (S3 API reference, "Checking object integrity").
_PROMISES: dict[str, Callable[[bytes], str]] = {
    "x-amz-checksum-sha256": lambda body: base64.b64encode(hashlib.sha256(body).digest()).decode(),
    "x-amz-checksum-sha1": lambda body: base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode(),
    "x-amz-checksum-crc32": lambda body: base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode(),
    "content-md5": lambda body: base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
}


def flipped(body: bytes) -> bytes:
    """The body with one bit of its middle byte flipped; an empty body stays empty."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


def refused_checksum(headers: Mapping[str, str], body: bytes) -> tuple[str, str] | None:
    """S3's error code and message when a promised checksum does not fit the body, else None.

    Bodies in `aws-chunked` coding carry their checksum in a trailer and are taken as they are.
    """
    headers = {name.lower(): value for name, value in headers.items()}
    if headers.get("x-amz-trailer"):
        return None
    for name, digest in _PROMISES.items():
        promised = headers.get(name)
        if promised is not None and promised != digest(body):
            return "BadDigest", f"The {name} you specified did not match the calculated checksum."
    signed = headers.get("x-amz-content-sha256", "")
    if len(signed) == hashlib.sha256().digest_size * 2 and signed != hashlib.sha256(body).hexdigest():
        return "XAmzContentSHA256Mismatch", "The provided x-amz-content-sha256 does not match what was computed."
    return None
