"""Fixtures: the network is this machine, and the cache a folder of the test."""

import logging

import pytest
from mmengine.logging import MMLogger

from tests.download.server import serving


@pytest.fixture
def online(monkeypatch, tmp_path):
    """Allows the network, and puts the cache into the folder of the test."""
    for name in ('REIN_SEG_OFFLINE', 'HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'):
        monkeypatch.delenv(name, raising=False)
    for name in ('http_proxy', 'https_proxy', 'all_proxy', 'HF_TOKEN'):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv('REIN_SEG_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def server(online, monkeypatch):
    """A server without answers yet, which is the Hugging Face hub, too."""
    with serving({}) as made:
        monkeypatch.setenv('HF_ENDPOINT', made.url)
        yield made


@pytest.fixture
def logged():
    """The lines of the log, as a list that grows."""

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    lines, handler = [], Lines()
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)
