"""Calls the command, and reads its files in the working folder."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.calls import call
from tests.inference.tiny_adapter import tiny_adapter


def predict(*words, out='out', adapter=None):
    return call('predict', adapter or tiny_adapter(), *words, '--out', out, '--device', 'cpu')


def record(name='out/predictions.json'):
    return json.loads(Path(name).read_text())


def files(folder='out'):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob('*') if p.is_file())


def label(path):
    with Image.open(path) as image:
        assert image.mode == 'P'
        return np.asarray(image)
