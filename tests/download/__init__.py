"""Tests of downloads, from a server on this machine."""
