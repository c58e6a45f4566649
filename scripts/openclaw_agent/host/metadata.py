"""What the instance metadata service says of this machine (IMDSv2 only)."""

import http.client
import os
from urllib.parse import urlsplit

from openclaw_agent.errors import AgentError

DEFAULT_ENDPOINT = "http://169.254.169.254"
TOKEN_PATH = "/latest/api/token"  # noqa: S105 - a path, not a secret
INSTANCE_ID_PATH = "/latest/meta-data/instance-id"
INTERRUPTION_PATH = "/latest/meta-data/spot/instance-action"
REBALANCE_PATH = "/latest/meta-data/events/recommendations/rebalance"
LIFECYCLE_PATH = "/latest/meta-data/autoscaling/target-lifecycle-state"
TOKEN_TTL_SECONDS = 21600


class MetadataUnavailable(AgentError):
    """The metadata service did not answer, or answered something else than 200 or 404."""


class InstanceMetadata:
    """A client of IMDSv2 with one token, renewed when refused."""

    def __init__(self, endpoint: str | None = None, *, timeout: float = 2.0) -> None:
        """Take the endpoint as given, else AWS_EC2_METADATA_SERVICE_ENDPOINT, else the link-local address."""
        chosen = endpoint or os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or DEFAULT_ENDPOINT
        self._address = urlsplit(chosen)
        self._timeout = timeout
        self._token = ""

    def get(self, path: str) -> str | None:
        """The text at `path`, or None for 404, which is normal for events that have not happened.

        Raises:
            MetadataUnavailable: when there is no service, or it answers with any other status.
        """
        if not self._token:
            self._token = self._new_token()
        status, body = self._request("GET", path, {"X-aws-ec2-metadata-token": self._token})
        if status == http.HTTPStatus.UNAUTHORIZED:
            self._token = self._new_token()
            status, body = self._request("GET", path, {"X-aws-ec2-metadata-token": self._token})
        if status == http.HTTPStatus.NOT_FOUND:
            return None
        if status != http.HTTPStatus.OK:
            raise MetadataUnavailable(f"The metadata service answered {status} for {path}.")
        return body

    def _new_token(self) -> str:
        status, body = self._request(
            "PUT", TOKEN_PATH, {"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_TTL_SECONDS)}
        )
        if status != http.HTTPStatus.OK:
            raise MetadataUnavailable(f"The metadata service gave no token (status {status}).")
        return body

    def _request(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port or 80, timeout=self._timeout
        )
        try:
            connection.request(method, self._address.path.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as problem:
            raise MetadataUnavailable(f"The metadata service does not answer ({problem}).") from problem
        finally:
            connection.close()
