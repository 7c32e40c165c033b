"""Folders of the repository, for tests that read its files."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
PACKAGE = REPO / 'rein_seg'
