"""The provider's gRPC server on loopback, to which an engine is attached by `PULUMI_DEBUG_PROVIDERS=aws:PORT`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Self

import grpc  # type: ignore[import-untyped]
from pulumi.runtime.proto import provider_pb2_grpc

from lab.moto.server import EmbeddedAws
from lab.provider.service import ProviderService

# Assets travel inside of messages.
LARGEST_MESSAGE = 400 * 1024 * 1024
# As many resources as the engine works on at once.
WORKERS = 16


class ProviderServer:
    """Serves the embedded AWS as the provider `aws` for as long as the `with` block lasts."""

    def __init__(self, aws: EmbeddedAws) -> None:
        limits = [
            ("grpc.max_receive_message_length", LARGEST_MESSAGE),
            ("grpc.max_send_message_length", LARGEST_MESSAGE),
        ]
        self._server = grpc.server(ThreadPoolExecutor(WORKERS), options=limits)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(ProviderService(aws), self._server)
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def attached(self) -> str:
        """The value of PULUMI_DEBUG_PROVIDERS."""
        return f"aws:{self.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()
