"""What can be wrong with a file of weights, by kind: name -> damage, and words of the message."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path

import torch

from tests.campaign import made_weights as made

Damage = Callable[[Path], object]
HEAD, BLOCK = 'decode_head.conv_seg.weight', 'layers.0.attn.qkv.weight'


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


def edit(change: Callable[[dict], object]) -> Callable[[dict], None]:
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
        edit(lambda c: _without_format(c['meta'])),
        'encoder',
    ),
    'training a text': (_meta(training='yes'), 'training'),
    'training without protocol': (
        edit(lambda c: c['meta']['training'].pop('protocol')), 'training.protocol',
    ),
    'deviations a number': (
        lambda c: c['meta']['training'].update(changed=3), 'training.changed',
    ),
}  # fmt: skip
RESUMED: dict[str, tuple[Callable[[dict], object], str]] = {
    'iter missing': (edit(lambda c: c['meta'].pop('iter')), 'iter'),
    'epoch a text': (_meta(epoch='one'), 'epoch'),
    'iter after the end': (_meta(iter=700), 'iter'),
    'iter of another file': (_meta(iter=2), 'iter.*2.*4'),
    'seed missing': (edit(lambda c: c['meta'].pop('seed')), 'seed'),
    'no message_hub': (edit(lambda c: c.pop('message_hub')), 'message_hub'),
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
    'no optimizer': (edit(lambda c: c.pop('optimizer')), 'optimizer'),
    'optimizer a list': (lambda c: c.update(optimizer=[1]), 'optimizer'),
    'optimizer empty': (lambda c: c.update(optimizer={}), 'optimizer'),
    'NaN in the optimizer': (
        edit(lambda c: c['optimizer']['state'][0]['exp_avg'].fill_(float('nan'))), 'optimizer',
    ),
    'NaN in the average': (
        edit(lambda c: c['state_dict']['decode_head.conv_seg.weight'].fill_(float('nan'))), HEAD,
    ),
    'NaN in the weights': (
        edit(lambda c: c['raw_state_dict']['decode_head.conv_seg.weight'].fill_(float('nan'))),
        HEAD,
    ),
    'average without a tensor': (
        edit(lambda c: c['raw_state_dict'].pop('decode_head.conv_seg.weight')), HEAD,
    ),
    'weights a list': (lambda c: c.update(raw_state_dict=[1]), 'raw_state_dict'),
    'weights of another shape': (
        lambda c: c['raw_state_dict'].update({HEAD: torch.ones(3)}), HEAD,
    ),
    'weights that are whole': (
        lambda c: c['raw_state_dict'].update({HEAD: c['raw_state_dict'][HEAD].long()}), HEAD,
    ),
    'no state_dict': (edit(lambda c: c.pop('state_dict')), 'no tensors|state_dict'),
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


def length(number: int) -> Damage:
    return lambda path: path.write_bytes(struct.pack('<Q', number) + path.read_bytes()[8:])
