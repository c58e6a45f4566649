"""Tests that only root can run: `make test` needs no root, and CI is root, so that each of them runs there."""

import os

import pytest


def root_only(reason: str) -> pytest.MarkDecorator:
    """A mark that leaves a test out for anybody but root, and says why root is needed."""
    return pytest.mark.skipif(os.geteuid() != 0, reason=reason)
