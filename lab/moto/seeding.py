"""Thousands of objects put into the embedded server at once, where a request for each would take too long."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

SEED_PATH = "/moto-api/openclaw-lab/objects"


def seed_document(bucket: str, objects: Mapping[str, bytes | str]) -> bytes:
    """What the server is sent."""
    bodies = {key: body.encode() if isinstance(body, str) else body for key, body in objects.items()}
    return json.dumps(
        {"bucket": bucket, "objects": {key: base64.b64encode(body).decode() for key, body in bodies.items()}}
    ).encode()


def accept_seeds(account: str) -> None:
    """Let the server take a JSON document of objects; call once, before it starts."""
    from moto.moto_api._internal import urls
    from moto.s3.models import s3_backends

    def seed(request: Any, _full_url: str, _headers: Any) -> tuple[int, dict[str, str], str]:
        document = json.loads(request.data)
        backend = s3_backends[account]["aws"]
        for key, body in document["objects"].items():
            backend.put_object(document["bucket"], key, base64.b64decode(body))
        return 200, {}, ""

    urls.url_paths[f"{{0}}{SEED_PATH}"] = seed  # type: ignore[assignment]  # typed by moto as its own handlers
