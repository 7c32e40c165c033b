"""Images, videos and folders that people predict, and what lies in the output folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.campaign.case import Case
from tests.campaign.faults import (
    become_nobody,
    full_disk,
    limit_file_size,
    read_only,
    small_disk,
)
from tests.inference.tiny_adapter import draw, film
from tests.inference.tiny_models import write_adapter

KIND = "predictions of one's own files"
IO = (74,)
SKIPPED = (3,)
Fault = Callable[[Path], object]


def predict(
    fault: Fault, *words: str, sources: tuple[str, ...] = ('in',), out: str = 'out'
) -> Callable[[Path], list[str]]:
    """Returns the preparation of a prediction of three images, after a fault."""

    def prepare(folder: Path) -> list[str]:
        write_adapter(folder)
        for index in range(3):
            draw(folder / f'in/{index}.png', 90, 120, seed=index)
        fault(folder)
        return ['predict', 'adapter.safetensors', *sources, '--out', out, *words]

    return prepare


def file(name: str, content: bytes | str = b'') -> Fault:
    """Returns a fault that writes a file."""

    def write(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def link(name: str, target: str) -> Fault:
    """Returns a fault that writes a link."""

    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(target)

    return write


def nothing(folder: Path) -> None:
    """No fault."""


def _unreadable(name: str) -> Fault:
    def close(folder: Path) -> None:
        folder.chmod(0o777)
        (folder / name).chmod(0o000)
        become_nobody()

    return close


def _no_right_to_write(folder: Path) -> None:
    folder.chmod(0o777)
    (folder / 'adapter.safetensors').chmod(0o666)
    (folder / 'out').mkdir(mode=0o555)
    become_nobody()


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / 'in/pipe.png')


def _record(**changes: object) -> str:
    entry = {'name': '0', 'output': '0.png', **changes}
    adapter = {'file': 'a', 'sha256': '0'}
    record = {'format': 'rein_seg-predictions/1', 'adapter': adapter, 'options': {}}
    return json.dumps({**record, 'unfinished': [], 'images': [entry]})


def _all(names: str) -> Callable[[Path, str], None]:
    """Returns a check that these maps are there, and no stray file."""

    def check(folder: Path, text: str) -> None:
        found = sorted(path.name for path in (folder / 'out').iterdir() if path.suffix == '.png')
        assert found == names.split(), found

    return check


def cases() -> Iterator[Case]:
    """Yields the cases."""
    yield from _systems()
    yield from _sources()
    yield from _outputs()


def _systems() -> Iterator[Case]:
    for size in ('4k', '16k', '32k'):
        disk = predict(lambda f, size=size: small_disk(f / 'out', size), '--scores')
        yield Case(f'disk of {size}', disk, 'out', IO)
    yield Case('full disk', predict(lambda f: full_disk(f / 'out')), 'out', IO)
    yield Case('read-only disk', predict(lambda f: read_only(f / 'out')), 'out', IO)
    yield Case('no right to write', predict(_no_right_to_write), 'out', IO)
    yield Case('below a file', predict(file('there'), out='there/out'), 'there', (2, 74))
    yield Case('a file', predict(file('out')), "'out' is a file")
    for size in (3000, 20_000):
        limit = predict(lambda f, size=size: limit_file_size(size), '--scores')
        yield Case(f'files of at most {size} bytes', limit, "'", IO)
    yield Case('an image without right', predict(_unreadable('in/1.png')), None, SKIPPED)
    yield Case('a folder without right', predict(_unreadable('in')), "'in", (2, 74))
    yield Case(
        'an adapter without right', predict(_unreadable('adapter.safetensors')), 'adapter', IO
    )


def _sources() -> Iterator[Case]:
    contents = {
        'zero.png': b'',
        'text.png': b'text',
        'zeros.jpg': bytes(100_000),
        'wide.png': b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\2\0\0\0',
        'text.mp4': b'text',
        'pattern_%02d.mp4': b'',
        'head.mp4': b'\0\0\0\x20ftypisom' + bytes(3000),
        'text.tif': b'II*\0text',
        'vrt.tif': '<VRTDataset rasterXSize="1" rasterYSize="1"><SRS>EPSG:4326</SRS></VRTDataset>',
        'svg.gif': '<svg xmlns="http://www.w3.org/2000/svg"/>',
        'new\nline.png': b'',
    }
    for name, content in contents.items():
        yield Case(f'with {name!r}', predict(file(f'in/{name}', content)), None, SKIPPED)
        alone = predict(file(f'in/{name}', content), sources=(f'in/{name}',))
        yield Case(f'{name!r} alone', alone, 'none of 1 inputs')
    yield Case('a pipe', predict(_pipe), None, SKIPPED, timeout=60)
    for target in ('/dev/zero', 'nowhere', '1.png/below', 'self.png'):
        yield Case(f'a link to {target}', predict(link('in/self.png', target)), None, SKIPPED)
    circle = predict(link('in/loop', '..'))
    yield Case('links in a circle', circle, check=lambda folder, text: None)
    for word in ('nowhere', 'in/*.bmp', '', '/dev/null/x', 'https://example.org/a.png', '\t'):
        yield Case(f'source {word!r}', predict(nothing, sources=(word,)), 'source|no image')
    yield Case(
        'source and adapter exchanged',
        predict(file('a.png'), sources=('in',)),
        check=_all('0.png 1.png 2.png'),
    )
    lists = {
        'itself': 'list.txt\n',
        'nothing': '\n\n',
        'bytes': b'\xff\xfe\x00',
        'nul': b'in/0.png\0',
        'a long line': 'x' * 100_000 + '\n',
        'a missing file': 'gone.png\n',
    }
    for what, text in lists.items():
        alone = predict(file('list.txt', text), sources=('list.txt',))
        yield Case(f'a list of {what}', alone, 'list|none of 1')
    everything = predict(
        file('list.txt', 'in/0.png\r\nin/1.png\n../' * 1 + 'in/0.png\n'), sources=('list.txt',)
    )
    yield Case('a list with a missing line', everything, None, SKIPPED)
    yield Case('a cut video', predict(_cut_video, sources=('in/clip.avi',)), None, SKIPPED)


def _cut_video(folder: Path) -> None:
    path = film(folder / 'in/clip.avi', count=30, codec='MJPG')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _outputs() -> Iterator[Case]:
    records = {
        'text': 'text',
        'a list': '[]',
        'an empty object': '{}',
        'deep': '[' * 100_000,
        'a name twice': '{"format": 1, "format": 2}',
        'no entries': _record().replace('[{', '{').replace('}]', '}'),
        'no output': _record(output=None),
        'a place above': _record(output='../in/0.png'),
        'a place elsewhere': _record(overlay='/etc/passwd'),
        'frames of text': _record(frames='many'),
        'bytes': b'\xff',
    }
    for what, content in records.items():
        case = predict(file('out/predictions.json', content))
        yield Case(f'record: {what}', case, 'predictions.json')
        shard = predict(file('out/predictions.9-of-9.json', content))
        yield Case(f'record of a shard: {what}', shard, 'predictions.9-of-9.json')
    yield Case(
        'record of another adapter',
        predict(file('out/predictions.json', _record())),
        'another adapter',
    )
    yield Case(
        'a journal of bytes',
        predict(file('out/predictions.journal', b'\xff\0{}\n[]\n')),
        check=_all('0.png 1.png 2.png'),
    )
    yield Case('a file of others', predict(file('out/1.png')), "'out/1.png' exists")
    yield Case('a folder as map', predict(file('out/1.png/x')), "'out/1.png' exists")
    over = predict(file('out/1.png/x'), '--overwrite')
    yield Case('a folder as map, overwritten', over, "'out/1.png'|Is a directory", (2, 74))
    yield Case('into the inputs', predict(nothing, out='in'), "would replace the input 'in/0.png'")
    yield Case('a link to the inputs', predict(link('out', 'in')), 'would replace the input')
    yield Case(
        'a link to elsewhere', predict(link('out/overlays', '/tmp')), 'outside of the output'
    )
    yield Case('a link to nowhere', predict(link('out', 'nowhere')), "'out'", (2, 74))
    for words in (['--shard', '0/3'], ['--shard', '4/3'], ['--every', '0'], ['--tta', '-1'],
                  ['--tta', 'nan'], ['--max-tokens', '1'], ['--max-value', '-1'],
                  ['--bands', '1', '2', '0'], ['--device', 'gpu'], ['--encoder-weights', 'gone'],
                  ['--config', 'gone.py']):  # fmt: skip
        yield Case(' '.join(words), predict(nothing, *words), words[0].strip('-')[:3])
