"""Damaged files of weights: every format, through the commands that read it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.campaign import made_weights as made
from tests.campaign.case import Case
from tests.campaign.damages import (
    BLOCK,
    BYTES,
    CONTENT,
    HEAD,
    HEADERS,
    KEYS,
    LOOSE,
    NAMES,
    RESUMED,
    SPECIAL,
    TEXTS,
    VALUES,
    WHOLE,
    Damage,
    edit,
    length,
)

KIND = 'damaged weights files'


def test(folder: Path, path: Path) -> list[str]:
    """Tests a file."""
    return ['test', made.config(folder), path.name, '--work-dir', 'run']


def merge(folder: Path, path: Path) -> list[str]:
    """Merges a file."""
    return ['merge', made.config(folder), path.name, '--out', 'out/m.safetensors']


def convert(folder: Path, path: Path) -> list[str]:
    """Converts a file."""
    return ['convert', made.config(folder), path.name, 'out.pth']


def load_from(folder: Path, path: Path) -> list[str]:
    """Trains from a file."""
    options = ['--cfg-options', f'load_from={path.name}']
    return ['train', made.config(folder), '--work-dir', 'run', *options]


def encoder(folder: Path, path: Path) -> list[str]:
    """Trains with an encoder's file."""
    extra = made.SMALL_ENCODER.format(file=path.name)
    return ['train', made.config(folder, extra), '--work-dir', 'run']


def compare(folder: Path, path: Path) -> list[str]:
    """Compares methods on an encoder's file."""
    extra = made.SMALL_ENCODER.format(file=path.name)
    return ['compare', made.config(folder, extra), '--peft', 'LoRA', 'Frozen', '--work-dir', 'run']


def linear_probe(folder: Path, path: Path) -> list[str]:
    """Probes an encoder's file."""
    extra = made.SMALL_ENCODER.format(file=path.name)
    return ['linear-probe', made.config(folder, extra)]


def pretrained(folder: Path, path: Path) -> list[str]:
    """Trains with a head's file, which mmengine reads."""
    init = f"dict(type='Pretrained', checkpoint={path.name!r})"
    extra = f'model = dict(decode_head=dict(init_cfg={init}))\n'
    return ['train', made.config(folder, extra), '--work-dir', 'run']


def resume(folder: Path, path: Path) -> list[str]:
    """Goes on from a checkpoint."""
    return ['train', 'tiny.py', '--work-dir', 'run', '--resume']


def sam_head(folder: Path, path: Path) -> list[str]:
    """Trains with a file of SAM's mask decoder."""
    extra = f"model['decode_head'] = dict(_delete_=True, type='SAMHead', checkpoint={path.name!r})"
    return ['train', made.config(folder, extra), '--work-dir', 'run']


# name: writer of a right file, the commands that read it
FORMATS = {
    'adapter': (made.adapter, (test, merge, convert)),
    'checkpoint': (made.checkpoint, (test, load_from, merge, convert)),
    'encoder': (made.encoder, (encoder, compare, linear_probe)),
    'encoder .pth': (made.encoder_pth, (encoder, pretrained, sam_head, compare)),
    'legacy .pth': (made.legacy, (encoder,)),
    'TorchScript': (made.torchscript, (encoder,)),
}


def _case(
    name: str, write: Callable[[Path], Path], door: Callable, damage: Damage, says: str
) -> Case:
    def prepare(folder: Path) -> list[str]:
        path = write(folder)
        damage(path)
        return door(folder, path)

    return Case(name, prepare, says=says, codes=(2, 74))


def _named(
    raw: bytes, write: Callable[[Path], Path], door: Callable
) -> Callable[[Path], list[str]]:
    def prepare(folder: Path) -> list[str]:
        path = write(folder)
        return door(folder, path.rename(path.with_name(os.fsdecode(raw) + path.suffix)))

    return prepare


def _in_state(change: Callable[[dict, str], object]) -> dict[str, Damage]:
    """Returns the damage of one tensor, by format."""

    def adapter(path: Path) -> None:
        made.change_adapter(path, lambda tensors, texts: change(tensors, HEAD))

    def checkpoint(path: Path) -> None:
        made.change_pth(path, edit(lambda c: change(c['state_dict'], HEAD)))

    def pth(path: Path) -> None:
        made.change_pth(path, edit(lambda c: change(c['model'], BLOCK)))

    return {'adapter': adapter, 'checkpoint': checkpoint, 'encoder .pth': pth}


def cases() -> Iterator[Case]:
    """Yields the cases."""
    yield from _bytes()
    yield from _special()
    yield from _tensors()
    yield from _content()


def _bytes() -> Iterator[Case]:
    for kind, (write, doors) in FORMATS.items():
        damages = dict(BYTES)
        if kind in ('adapter', 'checkpoint', 'encoder .pth'):
            damages |= WHOLE
        for number, (name, damage) in enumerate(damages.items()):
            door = doors[number % len(doors)]
            yield _case(f'{kind}, {door.__name__}: {name}', write, door, damage, r'a\.(pth|safe)')


def _special() -> Iterator[Case]:
    for kind in ('adapter', 'checkpoint', 'encoder'):
        write, doors = FORMATS[kind]
        for number, (name, make) in enumerate(SPECIAL.items()):
            door = doors[number % len(doors)]

            def damage(path: Path, make=make) -> None:
                made.replace(path, make)

            yield _case(f'{kind}, {door.__name__}: {name}', write, door, damage, r'a\.(pth|safe)')
        for name, raw in NAMES.items():
            yield Case(
                f'{kind}, {doors[0].__name__}: name {name}',
                _named(raw, write, doors[0]),
                says='b.*(UTF-8|exist|control|open)',
                codes=(2, 74),
            )


def _tensors() -> Iterator[Case]:
    rows = {
        **{
            n: (lambda s, key, f=f: s.update({key: f(s[key])}), says)
            for n, (f, says) in VALUES.items()
        },
        **KEYS,
    }
    loose = {
        n: (lambda s, key, f=f: s.update({key: f(s[key])}), says) for n, (f, says) in LOOSE.items()
    }
    for name, (change, says) in {**rows, **loose}.items():
        for number, (kind, damage) in enumerate(_in_state(change).items()):
            if kind == 'adapter' and name in loose:
                continue
            write, doors = FORMATS[kind]
            door = doors[0] if kind == 'encoder .pth' else doors[number % len(doors)]
            yield _case(f'{kind}, {door.__name__}, tensor: {name}', write, door, damage, says)
    for name in ('NaN', 'infinite'):
        damage = _in_state(rows[name][0])['encoder .pth']
        yield _case(f'Pretrained, tensor: {name}', made.encoder_pth, pretrained, damage, BLOCK)


def _content() -> Iterator[Case]:
    doors = (test, load_from, convert)
    for number, (name, (change, says)) in enumerate(CONTENT.items()):

        def damage(path: Path, change=change) -> None:
            made.change_pth(path, change)

        door = doors[number % 3]
        yield _case(f'checkpoint, {door.__name__}: {name}', made.checkpoint, door, damage, says)
    for name, (change, says) in RESUMED.items():

        def damage(path: Path, change=change) -> None:
            made.change_pth(path, change)

        yield _case(f'resume: {name}', made.trained, resume, damage, says)
    for name, (texts, says) in TEXTS.items():

        def damage(path: Path, texts=texts) -> None:
            made.change_adapter(path, lambda tensors, old: old.update(texts))

        yield _case(f'adapter metadata: {name}', made.adapter, test, damage, says)
    for number, (name, change) in enumerate(HEADERS.items()):

        def damage(path: Path, change=change) -> None:
            made.change_header(path, change)

        write, door = ((made.adapter, test), (made.encoder, encoder))[number % 2]
        yield _case(f'safetensors header: {name}', write, door, damage, r'a\.safetensors')
    for at in (0.01, 0.02, 0.03, 0.04):
        flip = functools.partial(made.flip, at=at, bit=1)
        yield _case(f'adapter, bit of the metadata at {at}', made.adapter, test, flip, 'a.safe')
    for number in (0, 1, 2**31, 2**63, 2**64 - 1):
        yield _case(
            f'safetensors header of {number} bytes', made.adapter, test, length(number), 'a.safe'
        )
