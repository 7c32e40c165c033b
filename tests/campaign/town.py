"""Cases on a town of four images and labels, whose second one is changed."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from rein_seg.datasets.files.pictures import read_image
from tests.campaign.case import Case
from tests.run.town import SIZE, draw_town, image, label, write_town

Write = Callable[[Path], object]


RGB, GREY = image(1), image(1)[..., 0]


IDS = label(0, 1)


WIDE = np.linspace(0, 65535, GREY.size).reshape(SIZE).astype(np.uint16)


def place(folder: Path, kind: str, name: str, data: bytes | None = None) -> Path:
    """Puts a file in the place of the second image or label; without data only removes that."""
    for old in (folder / 'town' / kind).glob('1.*'):
        old.unlink()
    path = folder / 'town' / kind / name
    if data is not None:
        path.write_bytes(data)
    return path


def ready(write: Write, command: str, **config: object) -> Callable[[Path], list[str]]:
    """Returns the preparation of a case: a right town, then what ``write`` does to it."""

    codecs.lookup('utf-8-sig')  # Python may be unreadable once a case has given up its rights

    def prepare(folder: Path) -> list[str]:
        draw_town(folder)
        path = write_town(folder, **config)
        write(folder)
        out = {'train': '--work-dir', 'check-data': '--out'}[command]
        return [command, path, out, 'run']

    return prepare


def refused(name: str, write: Write, says: str, *, listed: bool = True, **config) -> Iterator[Case]:
    """Yields cases of data that train refuses, and that check-data lists as a fault."""
    yield Case(f'train: {name}', ready(write, 'train', **config), says=says, codes=(2, 74))
    faults = {'says': None, 'codes': (1,)} if listed else {'says': says}
    yield Case(f'check-data: {name}', ready(write, 'check-data', **config), **faults)


def right(name: str, write: Write, check: Callable, *, train: bool = True, **config):
    """Yields cases of data that are right, with a check of what was read."""

    def report(folder: Path, text: str) -> None:
        content = json.loads((folder / 'run/check_data.json').read_text())
        assert content['faults'] == 0, content
        check(folder, content)

    yield Case(f'check-data: {name}', ready(write, 'check-data', **config), check=report)
    if train:
        yield Case(f'train: {name}', ready(write, 'train', **config), check=_trained)


def _trained(folder: Path, text: str) -> None:
    results = json.loads((folder / 'run/results.json').read_text())
    assert results['iterations'] == 2, results
    assert results['domains']['town']['mIoU'] >= 0, results


def pixels(name: str, expected: np.ndarray, *, most: int = 0, **options) -> Callable:
    """Returns a check that the second image reads as (H, W, 3) RGB or (H, W) values."""

    def check(folder: Path, content: dict) -> None:
        got = read_image(str(folder / 'town/images' / name), **options)[..., ::-1].astype(int)
        want = expected if expected.ndim == 3 else expected[..., None].repeat(3, 2)
        assert got.shape == want.shape, (got.shape, want.shape)
        assert np.abs(got - want).max() <= most, np.abs(got - want).max()

    return check


def ids(*values: int, images: int = 4) -> Callable:
    """Returns a check that the labels hold these raw ids."""

    def check(folder: Path, content: dict) -> None:
        (part,) = content['datasets']
        assert sorted(map(int, part['raw_ids'])) == sorted(values), part['raw_ids']
        assert part['images'] == images, part['images']

    return check


def mode(name: str) -> Image.Image:
    """Returns the second image in a mode of Pillow."""
    return Image.fromarray(RGB).convert(name)


def palette(values: np.ndarray, colours: list[list[int]]) -> Image.Image:
    """Returns a palette picture of these indexes."""
    picture = Image.fromarray(np.asarray(values, np.uint8), 'P')
    picture.putpalette([value for colour in colours for value in colour])
    return picture


def cut(data: bytes, share: float = 0.6) -> bytes:
    return data[: int(len(data) * share)]
