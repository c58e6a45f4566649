"""Which tier a test belongs to, as its fixtures tell: a test that a server is started for carries the marker `moto`."""

from collections.abc import Iterable

import pytest

# Every fixture that hands out an embedded AWS; test_tiers.py finds one that is missing here.
SERVERS = frozenset({"aws", "aws_server", "embedded_aws"})


def mark_by_fixtures(items: Iterable[pytest.Item]) -> None:
    """Mark what asks for a server, itself or through another fixture."""
    for item in items:
        if isinstance(item, pytest.Function) and not SERVERS.isdisjoint(item.fixturenames):
            item.add_marker("moto")
