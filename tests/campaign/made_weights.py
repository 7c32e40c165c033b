"""Right files of weights to damage: of the tiny config, made without training."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.campaign.run import train_quietly
from tests.run.tiny_run import tiny_config, write_config

RECORD = dict(benchmark='b', protocol='p', changed=[], selection='last', max_iters=6)
SMALL_ENCODER = """
model['backbone']['encoder'] = dict(
    _delete_=True, type='DINOv2', img_size=(32, 64), patch_size=8, checkpoint={file!r},
    arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64))
"""


def config(folder: Path, extra: str = '') -> str:
    """Writes the tiny config; returns its path."""
    return write_config(folder, 'lora_tiny_miniscapes', extra)


def model(folder: Path) -> Any:
    """Builds the model of the tiny config."""
    from mmseg.registry import MODELS

    torch.manual_seed(0)
    return MODELS.build(tiny_config(folder, 'lora_tiny_miniscapes').model)


def adapter(folder: Path) -> Path:
    """Writes ``a.safetensors``, an adapter of the tiny config."""
    from rein_seg.checkpoint import save_adapter
    from rein_seg.run.results import adapter_metadata

    cfg, built = tiny_config(folder, 'lora_tiny_miniscapes'), model(folder)
    path = folder / 'a.safetensors'
    save_adapter(path, built, adapter_metadata(cfg, built, scores={}, config='', training=RECORD))
    return path


def checkpoint(folder: Path) -> Path:
    """Writes ``a.pth``, a checkpoint of the tiny config."""
    built = model(folder)
    meta = dict(
        iter=2, epoch=0, seed=3, cfg='', identity=built.identity, identity_format=2, training=RECORD
    )
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    path = folder / 'a.pth'
    torch.save(dict(meta=meta, state_dict=built.state_dict(), message_hub=hub), path)
    return path


def trained(folder: Path) -> Path:
    """Trains in ``run`` in a process of its own; returns the checkpoint to go on from."""
    train_quietly(config(folder, 'ema = dict(begin=1, momentum=0.1)\n'), 'run')
    for name in ('iter_2.pth', 'iter_6.pth'):
        (folder / 'run' / name).unlink()
    return folder / 'run/iter_4.pth'


def encoder_state(folder: Path) -> dict[str, torch.Tensor]:
    """Returns the weights of `SMALL_ENCODER`."""
    from rein_seg.encoders import build_encoder

    arch = dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=64)
    args = dict(type='DINOv2', img_size=(32, 64), patch_size=8, init_seed=0, arch=arch)
    return {name: t.clone() for name, t in build_encoder(args)[0].state_dict().items()}


def encoder(folder: Path) -> Path:
    """Writes ``a.safetensors``, weights of `SMALL_ENCODER`."""
    save_file(encoder_state(folder), folder / 'a.safetensors')
    return folder / 'a.safetensors'


def encoder_pth(folder: Path) -> Path:
    """Writes ``a.pth``, weights of `SMALL_ENCODER`."""
    torch.save(dict(model=encoder_state(folder)), folder / 'a.pth')
    return folder / 'a.pth'


def legacy(folder: Path) -> Path:
    """Writes ``a.pth`` as PyTorch did before 1.6."""
    old = dict(_use_new_zipfile_serialization=False)
    torch.save(dict(model=encoder_state(folder)), folder / 'a.pth', **old)
    return folder / 'a.pth'


def torchscript(folder: Path) -> Path:
    """Writes ``a.pth``, a TorchScript archive of `SMALL_ENCODER`'s weights."""
    module = torch.nn.Module()
    for name, tensor in encoder_state(folder).items():
        place = module
        *parts, leaf = name.split('.')
        for part in parts:
            if not hasattr(place, part):
                place.add_module(part, torch.nn.Module())
            place = getattr(place, part)
        place.register_buffer(leaf, tensor)
    torch.jit.script(module).save(str(folder / 'a.pth'))
    return folder / 'a.pth'


def change_pth(path: Path, change: Callable[[dict], Any]) -> None:
    """Writes a file of ``torch.save`` again, with changed content."""
    content = torch.load(path, weights_only=False)
    changed = change(content)
    torch.save(content if changed is None else changed, path)


def change_adapter(path: Path, change: Callable[[dict[str, torch.Tensor], dict], Any]) -> None:
    """Writes an adapter again with changed tensors and metadata, and the right digests."""
    from rein_seg.checkpoint import tensors_sha256
    from rein_seg.checkpoint.adapter import metadata_sha256

    with safe_open(path, framework='pt') as file:
        texts = dict(file.metadata())
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(tensors, texts)
    texts['sha256'] = json.dumps(tensors_sha256(tensors))
    texts['metadata_sha256'] = metadata_sha256(texts)
    save_file(tensors, path, metadata=texts)


def change_header(path: Path, change: Callable[[dict], Any]) -> None:
    """Writes a safetensors file again with another header; ``change`` may return its bytes."""
    data = path.read_bytes()
    (length,) = struct.unpack('<Q', data[:8])
    header = json.loads(data[8 : 8 + length])
    changed = change(header)
    new = changed if isinstance(changed, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack('<Q', len(new)) + new + data[8 + length :])


def flip(path: Path, at: float, bit: int = 0) -> None:
    """Flips a bit of the byte at a part of the file, 0..1."""
    data = bytearray(path.read_bytes())
    data[min(int(at * len(data)), len(data) - 1)] ^= 1 << bit
    path.write_bytes(data)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    """Puts something else in the place of a file."""
    path.unlink()
    make(path)


def fifo(path: Path) -> None:
    """Makes a pipe that nobody writes to."""
    os.mkfifo(path)
