"""Damaged files of weights: every format, through the commands that read it."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from tests.campaign import made_weights as made
from tests.campaign.case import Case

KIND = 'damaged weights files'
Damage = Callable[[Path], object]
HEAD, BLOCK = 'decode_head.conv_seg.weight', 'layers.0.attn.qkv.weight'


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


def _cut(part: float) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])


def _write(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(100))


BYTES: dict[str, Damage] = {
    'empty': _write(b''),
    'text': _write(b'{"weights": "see the other folder"}\n' * 40),
    'zeros': lambda path: path.write_bytes(bytes(path.stat().st_size)),
    'cut to 0.1 %': _cut(0.001),
    'cut to 30 %': _cut(0.3),
    'cut to 70 %': _cut(0.7),
    'cut to 99.9 %': _cut(0.999),
    'longer': _longer,
    'first byte': lambda path: made.flip(path, 0.0, 1),
    'bit of the header': lambda path: made.flip(path, 0.005, 6),
}
WHOLE = {  # files whose values have a checksum
    'bit of the values': lambda path: made.flip(path, 0.6, 3),
    'last value': lambda path: made.flip(path, 0.93, 7),
}
SPECIAL: dict[str, Damage] = {
    'missing': lambda path: None,
    'FIFO': made.fifo,
    'folder': Path.mkdir,
    'device': lambda path: path.symlink_to('/dev/zero'),
    'dangling link': lambda path: path.symlink_to('nowhere'),
    'link to itself': lambda path: path.symlink_to(path.name),
}
NAMES = {'not UTF-8': b'b\xff', 'line break': b'b\nc', 'escape': b'b\x1b[31mc'}


def _set(value: float, dtype: torch.dtype | None = None) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone() if dtype is None else tensor.to(dtype)
        tensor.view(-1)[tensor.numel() // 2] = value
        return tensor

    return change


VALUES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], str]] = {
    'NaN': (_set(float('nan')), 'NaN or infinite'),
    'infinite': (_set(float('-inf')), 'NaN or infinite'),
    'beyond float32': (_set(1e300, torch.float64), 'NaN or infinite'),
    'half, NaN': (_set(float('nan'), torch.float16), 'NaN or infinite'),
    'whole numbers': (lambda t: t.long(), 'int64'),
    'bool': (lambda t: t > 0, 'bool'),
    'complex': (lambda t: t.to(torch.complex64), 'complex64|C64|KeyError'),
    'one row less': (lambda t: t[1:].clone(), 'shape'),
    'one row more': (lambda t: torch.cat((t, t[:1])), 'shape'),
    'flat': (lambda t: t.flatten().clone(), 'shape|names'),
    'scalar': (lambda t: t.sum(), 'shape|names'),
    'empty': (lambda t: t[:0].clone(), 'shape|names'),
    'huge and empty': (lambda t: t.new_empty(0, 1 << 40), 'shape|names'),
}
KEYS: dict[str, tuple[Callable[[dict, str], object], str]] = {
    'missing': (lambda s, name: s.pop(name), 'Missing|names'),
    'renamed': (lambda s, name: s.update({name + 'x': s.pop(name)}), 'nexpected|names'),
    'one more': (lambda s, name: s.update(more=torch.ones(2)), 'nexpected: .*more|more'),
    'zero byte': (lambda s, name: s.update({'a\0b': torch.ones(2)}), 'nexpected'),
    'long name': (lambda s, name: s.update({'n' * 100_000: torch.ones(2)}), 'nexpected'),
    'other model': (lambda s, name: _only(s, {'conv1.weight': torch.ones(2)}), 'issing|nexpected'),
}
LOOSE: dict[str, tuple[Callable[[torch.Tensor], object], str]] = {  # torch.save alone writes them
    'repeats its values': (lambda t: t.flatten()[:1].expand(1 << 36), 'repeats|bytes'),
    'sparse': (lambda t: t.to_sparse(), 'sparse|refused|read'),
    'without values': (lambda t: t.to('meta'), 'without values|refused|read'),
    'quantized': (
        lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8), 'quantized|refused|read',
    ),
    'a number': (lambda t: 3.5, 'issing|names'),
    'a list': (lambda t: t.tolist(), 'issing|names'),
}  # fmt: skip


def _only(state: dict, other: dict) -> None:
    state.clear()
    state.update(other)


def _meta(**changed: object) -> Callable[[dict], object]:
    return lambda content: content['meta'].update(changed)


def _identity(**changed: object) -> Callable[[dict], object]:
    return lambda content: content['meta']['identity'].update(changed)


def _edit(change: Callable[[dict], object]) -> Callable[[dict], None]:
    def run(content: dict) -> None:
        change(content)

    return run


def _deep(times: int) -> dict:
    found: dict = {}
    for _ in range(times):
        found = {'a': found}
    return found


def _without_format(meta: dict) -> None:
    del meta['identity_format']
    meta['identity']['encoder'] = {}


def _shared(times: int) -> list:
    found: list = []
    for _ in range(times):
        found = [found, found]
    return found


CONTENT: dict[str, tuple[Callable[[dict], object], str]] = {
    'a list': (lambda c: [1, 2], 'list'),
    'a number': (lambda c: 7, 'int'),
    'a text': (lambda c: 'weights', 'str'),
    'a tensor': (lambda c: torch.ones(3), 'Tensor'),
    'an empty dict': (lambda c: {}, 'no tensors'),
    'no tensors': (lambda c: {'state_dict': {'a': 1}}, 'no tensors'),
    'state_dict a list': (lambda c: {'state_dict': [torch.ones(1)]}, 'no tensors'),
    'names are numbers': (lambda c: {'state_dict': {1: torch.ones(1)}}, 'name'),
    'nested 200 deep': (lambda c: {'state_dict': {'a': torch.ones(1)}, 'x': _deep(200)}, 'deep'),
    'identity nested': (_meta(identity=_deep(70)), 'deep'),
    'identity repeated': (_meta(identity={'method': _shared(60)}), 'identity|deep'),
    'meta a list': (lambda c: c.update(meta=[1]), 'meta'),
    'iter a text': (_meta(iter='two'), r'iter.*two'),
    'iter below 0': (_meta(iter=-4), r'iter.*-4'),
    'iter NaN': (_meta(iter=float('nan')), 'iter.*nan'),
    'iter a bool': (_meta(iter=True), 'iter.*True'),
    'iter huge': (_meta(iter=10**30), 'iter'),
    'iter after the end': (_meta(iter=7), 'iter.*7.*max_iters'),
    'seed a list': (_meta(seed=[1]), 'seed'),
    'identity a text': (_meta(identity='LoRA'), 'identity'),
    'identity empty': (_meta(identity={}), 'identity.method'),
    'method a text': (_identity(method='LoRA'), 'method'),
    'method without type': (_identity(method={'rank': 2}), 'method'),
    'no methods': (_identity(method=[]), 'method'),
    'another method': (_identity(method={'type': 'Rein'}), "'Rein'"),
    'an unknown method': (_identity(method={'type': 'os.system'}), "'os.system'"),
    'encoder a text': (_identity(encoder='ViT'), 'encoder'),
    'encoder without type': (_identity(encoder={'config': {}}), 'encoder'),
    'another encoder': (_identity(encoder={'weights': 'sha256:00', 'config': {'type': 'a.B'}}),
                        'encoder'),
    'classes a text': (_identity(num_classes='19'), 'num_classes'),
    'classes 0': (_identity(num_classes=0), 'num_classes'),
    'other classes': (_identity(num_classes=7), 'num_classes=7'),
    'format 1 without config': (
        _edit(lambda c: _without_format(c['meta'])),
        'encoder',
    ),
    'training a text': (_meta(training='yes'), 'training'),
    'training without protocol': (
        _edit(lambda c: c['meta']['training'].pop('protocol')), 'training.protocol',
    ),
    'deviations a number': (
        lambda c: c['meta']['training'].update(changed=3), 'training.changed',
    ),
}  # fmt: skip
RESUMED: dict[str, tuple[Callable[[dict], object], str]] = {
    'iter missing': (_edit(lambda c: c['meta'].pop('iter')), 'iter'),
    'epoch a text': (_meta(epoch='one'), 'epoch'),
    'iter after the end': (_meta(iter=700), 'iter'),
    'iter of another file': (_meta(iter=2), 'iter.*2.*4'),
    'seed missing': (_edit(lambda c: c['meta'].pop('seed')), 'seed'),
    'no message_hub': (_edit(lambda c: c.pop('message_hub')), 'message_hub'),
    'message_hub empty': (lambda c: c.update(message_hub={}), 'message_hub'),
    'message_hub a list': (lambda c: c.update(message_hub=[1]), 'message_hub'),
    'keys of the hub a text': (lambda c: c['message_hub'].update(resumed_keys='x'), 'resumed_keys'),
    'best checkpoint a list': (
        lambda c: c['message_hub']['runtime_info'].update(best_ckpt=[1]), 'best_ckpt',
    ),
    'kept checkpoints elsewhere': (
        lambda c: c['message_hub']['runtime_info'].update(keep_ckpt_ids=['../../x']), 'keep_ckpt',
    ),
    'settings no JSON': (
        _meta(settings='{', settings_sha256=hashlib.sha256(b'{').hexdigest()), 'settings',
    ),
    'schedules of numbers': (lambda c: c.update(param_schedulers=[1, 2]), 'param_schedulers'),
    'no optimizer': (_edit(lambda c: c.pop('optimizer')), 'optimizer'),
    'optimizer a list': (lambda c: c.update(optimizer=[1]), 'optimizer'),
    'optimizer empty': (lambda c: c.update(optimizer={}), 'optimizer'),
    'NaN in the optimizer': (
        _edit(lambda c: c['optimizer']['state'][0]['exp_avg'].fill_(float('nan'))), 'optimizer',
    ),
    'NaN in the average': (
        _edit(lambda c: c['state_dict']['decode_head.conv_seg.weight'].fill_(float('nan'))), HEAD,
    ),
    'NaN in the weights': (
        _edit(lambda c: c['raw_state_dict']['decode_head.conv_seg.weight'].fill_(float('nan'))),
        HEAD,
    ),
    'average without a tensor': (
        _edit(lambda c: c['raw_state_dict'].pop('decode_head.conv_seg.weight')), HEAD,
    ),
    'weights a list': (lambda c: c.update(raw_state_dict=[1]), 'raw_state_dict'),
    'weights of another shape': (
        lambda c: c['raw_state_dict'].update({HEAD: torch.ones(3)}), HEAD,
    ),
    'weights that are whole': (
        lambda c: c['raw_state_dict'].update({HEAD: c['raw_state_dict'][HEAD].long()}), HEAD,
    ),
    'no state_dict': (_edit(lambda c: c.pop('state_dict')), 'no tensors|state_dict'),
}  # fmt: skip
TEXTS: dict[str, tuple[dict[str, str], str]] = {
    'no JSON': ({'method': 'LoRA'}, 'method'),
    'NaN': ({'scores': '{"mIoU": NaN}'}, 'scores'),
    'a name twice': ({'method': '{"type": "LoRA", "type": "Rein"}'}, 'method'),
    'nested 100,000 deep': ({'scores': '[' * 100_000 + ']' * 100_000}, 'scores'),
    'nested 400 deep': ({'method': '{"a":' * 400 + '1' + '}' * 400}, 'method'),
    'method a list': ({'method': '[1]'}, 'method'),
    'method null': ({'method': 'null'}, 'method'),
    'encoder a text': ({'encoder': '"ViT"'}, 'encoder'),
    'classes true': ({'num_classes': 'true'}, 'num_classes'),
    'other classes': ({'num_classes': '7'}, 'num_classes=7'),
    'training a list': ({'training': '[]'}, 'training'),
    'training empty': ({'training': '{}'}, 'training'),
    'config a number': ({'config': '1'}, 'config'),
    'scores a list': ({'scores': '[1]'}, 'scores'),
    'another format': ({'format': '"rein_seg-adapter/9"'}, 'format'),
    'format 1 without config': ({'format': '"rein_seg-adapter/1"', 'encoder': '{}'}, 'encoder'),
}


def _entry(**changed: object) -> Callable[[dict], object]:
    def change(header: dict) -> None:
        name = next(name for name in sorted(header) if name != '__metadata__')
        header[name].update(changed)

    return change


def _twice(header: dict) -> bytes:
    text = json.dumps(header)
    name = json.dumps(next(name for name in sorted(header) if name != '__metadata__'))
    entry = json.dumps({'dtype': 'F32', 'shape': [0], 'data_offsets': [0, 0]})
    return f'{{{name}: {entry}, {text[1:]}'.encode()


def _overlap(header: dict) -> None:
    names = [name for name in sorted(header) if name != '__metadata__']
    header[names[0]]['data_offsets'] = header[names[1]]['data_offsets']


HEADERS: dict[str, Callable[[dict], object]] = {
    'no JSON': lambda h: b'{' * 50,
    'a list': lambda h: b'[]',
    'not UTF-8': lambda h: b'{"\xff\xfe": 1}',
    'a name twice': _twice,
    'overlap': _overlap,
    'below 0': _entry(data_offsets=[-4, 0]),
    'beyond the file': _entry(data_offsets=[0, 1 << 50]),
    'offsets are texts': _entry(data_offsets=['0', '4']),
    'shape NaN': _entry(shape=[float('nan')]),
    'shape huge': _entry(shape=[1 << 62, 1 << 62]),
    'shape below 0': _entry(shape=[-1, -1]),
    'unknown dtype': _entry(dtype='F4'),
    'dtype a number': _entry(dtype=32),
    'half the size': _entry(dtype='F16'),
    'entry a list': lambda h: h.update({'decode_head.x': []}),
    'metadata a list': lambda h: h.update(__metadata__=[1]),
    'metadata of numbers': lambda h: h.update(__metadata__={'format': 1}),
}


def _length(number: int) -> Damage:
    return lambda path: path.write_bytes(struct.pack('<Q', number) + path.read_bytes()[8:])


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
        made.change_pth(path, _edit(lambda c: change(c['state_dict'], HEAD)))

    def pth(path: Path) -> None:
        made.change_pth(path, _edit(lambda c: change(c['model'], BLOCK)))

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
            f'safetensors header of {number} bytes', made.adapter, test, _length(number), 'a.safe'
        )
