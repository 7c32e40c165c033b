"""Names, folders, links, lists and zips."""

from __future__ import annotations

import os
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.campaign import picture_files as files
from tests.campaign.case import Case
from tests.campaign.faults import become_nobody
from tests.campaign.run import train_quietly
from tests.campaign.town import (
    RGB,
    Write,
    ids,
    place,
    ready,
    refused,
    right,
)
from tests.run.town import draw_town, write_town


def special_files() -> Iterator[Case]:
    """Yields names that are no regular files."""

    def unreadable(folder: Path) -> None:
        (folder / 'town/images/1.png').chmod(0)
        folder.chmod(0o777)
        become_nobody()

    def unreadable_folder(folder: Path) -> None:
        (folder / 'town/images').chmod(0)
        folder.chmod(0o777)
        become_nobody()

    def sparse(folder: Path) -> None:
        with place(folder, 'images', '1.png').open('wb') as file:
            file.truncate(1 << 40)

    def listening(folder: Path) -> None:
        os.chdir(folder / 'town/images')
        socket.socket(socket.AF_UNIX).bind(place(folder, 'images', '1.png').name)
        os.chdir(folder)

    for kind in ('images', 'labels'):
        writes: dict[str, Write] = {
            'pipe': lambda f, k=kind: os.mkfifo(place(f, k, '1.png')),
            'folder': lambda f, k=kind: place(f, k, '1.png').mkdir(),
            'link to a device': lambda f, k=kind: place(f, k, '1.png').symlink_to('/dev/zero'),
            'link to nothing': lambda f, k=kind: place(f, k, '1.png').symlink_to('gone.png'),
            'link to itself': lambda f, k=kind: place(f, k, '1.png').symlink_to('1.png'),
            'link to a folder': lambda f, k=kind: place(f, k, '1.png').symlink_to('..'),
        }
        for name, write in writes.items():
            yield from refused(f'{name} among {kind}', write, says=r'1\.png')
    yield from refused('sparse file of 1 TiB', sparse, says=r'1\.png')
    yield from refused('socket', listening, says=r'1\.png')
    yield from refused('no right to read an image', unreadable, says=r'1\.png')
    yield Case(
        'train: no right to read a folder',
        ready(unreadable_folder, 'train'),
        says='town/images',
        codes=(2, 74),
    )


def names() -> Iterator[Case]:
    """Yields names that logs and pictures cannot show, and names that they can."""
    for name in (
        b'a\xff.png',
        b'a\n.png',
        b'\x1b[31ma.png',
        b'a\x7f.png',
        b'a\xc2\x9b.png',
        b'\r.png',
    ):
        for kind in ('images', 'labels'):

            def write(folder: Path, name=name, kind=kind) -> None:
                old = os.fsencode(folder / 'town' / kind)
                os.rename(os.path.join(old, b'1.png'), os.path.join(old, name))

            yield from refused(f'{kind[:-1]} named {name!r}', write, says='control|UTF-8')
    for name in (
        'größe',
        '写真',
        'a b',
        "it's",
        'a\u202fb',
        '🙂',
        '-x',
        'a%d',
        '{x}',
        '*',
        'a' * 200,
    ):

        def rename(folder: Path, name=name) -> None:
            for kind in ('images', 'labels'):
                (folder / f'town/{kind}/1.png').rename(folder / f'town/{kind}/{name}.png')

        yield from right(f'pair named {name[:9]!r}', rename, ids(0, 1), train=False)


def listings() -> Iterator[Case]:
    """Yields folders, lists and zips that hold more, less or other than it seems."""

    def linked(folder: Path) -> None:
        for kind in ('images', 'labels'):
            store = folder / 'store' / kind
            store.parent.mkdir(exist_ok=True)
            (folder / 'town' / kind).rename(store)
            (folder / 'town' / kind).mkdir()
            for name in ('day', 'night'):
                (folder / 'town' / kind / name).symlink_to(store)

    def loop(folder: Path) -> None:
        (folder / 'town/images/up').symlink_to('../images')
        (folder / 'town/labels/self').symlink_to(folder / 'town/labels')

    def many_links(folder: Path) -> None:
        for i in range(20):
            (folder / f'town/d{i}').mkdir()
            for j in range(2):
                (folder / f'town/d{i}/l{j}').symlink_to(folder / f'town/d{i + 1}')
        (folder / 'town/images/more').symlink_to(folder / 'town/d0')

    def tools(folder: Path) -> None:
        for below in ('.ipynb_checkpoints', '__MACOSX', '.git', '@eaDir'):
            for kind in ('images', 'labels'):
                path = folder / f'town/{kind}/{below}/0.png'
                path.parent.mkdir()
                path.write_bytes(b'of a tool')
        (folder / 'town/images/._0.png').write_bytes(b'of macOS')

    def left_out(folder: Path, content: dict) -> None:
        ids(0, 1)(folder, content)
        assert sum(content['datasets'][0]['left_out'].values()) == 9, content['datasets'][0]

    def hidden_alone(folder: Path) -> None:
        for path in (folder / 'town/images').iterdir():
            path.rename(path.with_name(f'.{path.name}'))

    def twins(folder: Path) -> None:
        (folder / 'town/images/1.jpg').write_bytes(files.encode(RGB, 'JPEG'))

    def two_cases(folder: Path) -> None:
        (folder / 'town/images/1.PNG').write_bytes(files.encode(RGB, 'PNG'))

    yield from right('linked folders', linked, ids(0, 1, images=8))
    yield from right('loops of links', loop, ids(0, 1))
    yield from refused('links that multiply', many_links, says='links lead to')
    yield from right('folders of tools', tools, left_out)
    yield from refused('hidden images alone', hidden_alone, says='images')
    yield from refused('two images of a name', twins, says=r'1\.(png|jpg)')
    yield from refused('two images of a name but for case', two_cases, says=r'1\.(png|PNG)')
    yield from refused(
        'image without label', lambda f: place(f, 'labels', 'none'), says=r'1\.png.*|no label'
    )
    yield from refused(
        'label without image', lambda f: place(f, 'images', 'none'), says=r'1\.png.*|no image'
    )
    yield from refused(
        'no folder', lambda f: (f / 'town/images').rename(f / 'gone'), says='town/images'
    )
    yield from refused(
        'a file as folder',
        lambda f: ((f / 'town/images').rename(f / 'gone'), (f / 'town/images').write_text('')),
        says='town/images',
    )
    yield from lists()
    yield from zips()


def lists() -> Iterator[Case]:
    """Yields lists of names: csv, ann_file, skip."""
    rows = b'image,label\nimages/0.png,labels/0.png\n'
    for option, contents in {
        "csv='list',": {
            'empty': b'', 'one column': b'images/0.png\n', 'no UTF-8': b'image,label\n\xff,\xfe\n',
            'gone files': b'image,label\nimages/9.png,labels/9.png\n', 'zeros': bytes(100),
            'a huge cell': b'image,label\n' + b'a' * 200_000 + b',b\n',
            'an open quote': b'image,label\n"images/0.png,labels/0.png\n',
            'a control character': rows + b'images/\x1b1.png,labels/1.png\n',
            'wrong columns': b'a;b\nimages/0.png;labels/0.png\n',
        },
        "ann_file='list',": {
            'empty': b'', 'no UTF-8': b'0\n\xff\n', 'gone': b'0\n9\n', 'zeros': bytes(100),
        },
        "skip='list',": {'no UTF-8': b'0\n\xff\n', 'gone': b'9\n', 'all': b'0\n1\n2\n3\n'},
    }.items():  # fmt: skip
        for name, data in contents.items():
            # ann_file alone is relative to the working folder
            given = option.replace("ann_file='", "ann_file='town/")
            yield Case(
                f'train: {option[:4]}, {name}',
                ready(
                    lambda f, data=data: (f / 'town/list').write_bytes(data),
                    'train',
                    options=given,
                ),
                says='list|skip|images|labels',
            )
    yield from right(
        'csv with a byte order mark',
        lambda f: (f / 'town/list').write_bytes(b'\xef\xbb\xbf' + rows),
        ids(0, 1, images=1),
        options="csv='list',",
    )


def zips() -> Iterator[Case]:
    """Yields images in zips."""

    def pack(folder: Path, method: int = zipfile.ZIP_DEFLATED) -> Path:
        path = folder / 'town/pack.zip'
        with zipfile.ZipFile(path, 'w', method) as archive:
            for file in sorted((folder / 'town/images').iterdir()):
                archive.write(file, f'images/{file.name}')
            archive.writestr('__MACOSX/images/._0.png', b'of macOS')
        return path

    def changed(change: Callable[[bytes], bytes], method: int = zipfile.ZIP_DEFLATED) -> Write:
        def write(folder: Path) -> None:
            path = pack(folder, method)
            path.write_bytes(change(path.read_bytes()))

        return write

    def inflating(folder: Path) -> None:
        place(folder, 'images', '1.png', bytes(400_000_000))
        path, real, said = (
            pack(folder),
            (400_000_000).to_bytes(4, 'little'),
            (99).to_bytes(4, 'little'),
        )
        path.write_bytes(path.read_bytes().replace(real, said))

    def huge(folder: Path) -> None:
        place(folder, 'images', '1.png', bytes(1_000_003))
        path, real = pack(folder), (1_000_003).to_bytes(4, 'little')
        path.write_bytes(path.read_bytes().replace(real, (4_000_000_000).to_bytes(4, 'little')))

    def encrypted(data: bytes) -> bytes:
        at = data.index(b'PK\1\2')
        return data[: at + 8] + bytes([data[at + 8] | 1]) + data[at + 9 :]

    options = "data_prefix=dict(img_path='pack.zip'),"
    yield from right('images in a zip', pack, ids(0, 1), options=options)
    for name, write in {
        'cut zip': changed(lambda data: data[:-100]),
        'empty zip': changed(lambda data: b''),
        'zip of another compression': lambda f: pack(f, zipfile.ZIP_LZMA),
        'encrypted zip': changed(encrypted),
        'damaged zip': changed(lambda d: d[:60] + bytes([d[60] ^ 255, d[61] ^ 255]) + d[62:]),
        'member that inflates': inflating,
        'member of 4 GB': huge,
    }.items():
        yield from refused(name, write, says=r'pack\.zip', options=options)


def clashes() -> Iterator[Case]:
    """Yields images whose predictions would have one name."""

    def prepare(folder: Path) -> list[str]:
        draw_town(folder)
        for kind in ('images', 'labels'):
            data = (folder / f'town/{kind}/0.png').read_bytes()
            for below in ('a/x', 'b/x', 'c'):
                path = folder / f'town/{kind}/{below}/0.png'
                path.parent.mkdir(parents=True)
                path.write_bytes(data)
        config = write_town(folder)
        train_quietly(config, 'done')
        return ['test', config, 'done/adapter.safetensors', '--work-dir', 'run', '--out', 'out']

    def check(folder: Path, text: str) -> None:
        found = sorted(path.name for path in (folder / 'out').rglob('*.png'))
        assert len(found) == 7, found

    yield Case('test --out: four images of one name', prepare, check=check)


def cases() -> Iterator[Case]:
    """Yields the cases."""
    for group in (special_files, names, listings, clashes):
        yield from group()
