"""Fixtures of these tests."""

from tests.download.network import online, server  # noqa: F401
