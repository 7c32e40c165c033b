"""Fixtures of these tests."""

from tests.download.network import logged, online, server  # noqa: F401
