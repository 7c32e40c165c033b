"""Tiny segmentors with random weights, and adapter files of them, without any training."""

from pathlib import Path

import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from rein_seg.apis import init_model
from rein_seg.checkpoint import save_adapter
from rein_seg.run.results import adapter_metadata
from tests.encoders.tiny import ENCODERS, with_joint
from tests.run.tiny_run import tiny_config

SLIDE = dict(mode='slide', crop_size=(32, 32), stride=(24, 24))


def tiny_model(
    head='LinearHead', num_classes=5, *, encoder='vit_tiny', test_cfg=None, steps=(), crop=None
):
    """Returns a segmentor that is ready to predict; its head has random weights."""
    decode_head = dict(type=head) if isinstance(head, str) else head
    encoder = ENCODERS[encoder] if isinstance(encoder, str) else encoder
    encoder = with_joint(encoder, None)
    model = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen')),
        decode_head=decode_head,
        num_classes=num_classes,
        test_cfg=test_cfg,
        crop_size=crop,
    )
    pipeline = [dict(type='LoadImageFromFile'), *steps, dict(type='PackDomainInputs')]
    meta = dict(
        classes=tuple(f'class {i}' for i in range(num_classes)),
        palette=[[i % 256, 10, 200] for i in range(num_classes)],
    )
    dataset = dict(type='MiniScapesDataset', pipeline=pipeline, metainfo=meta)
    cfg = Config(dict(default_scope='mmseg', model=model, test_dataloader=dict(dataset=dataset)))
    built = init_model(cfg, device='cpu')
    draw_head(built)
    return built


def draw_head(model):
    """Gives a head weights that tell pixels apart."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.decode_head.parameters():
        parameter.data += torch.randn(parameter.shape, generator=generator) * 0.1


def write_adapter(folder: Path, name='adapter.safetensors', extra='', more=None, **options):
    """Writes an adapter file as a run does; returns its path and the model in it."""
    cfg = tiny_config(folder, extra=extra, **options)
    model = MODELS.build(cfg.model).eval()
    draw_head(model)
    metadata = adapter_metadata(cfg, model, scores={}, config=cfg.pretty_text)
    save_adapter(folder / name, model, {**metadata, **(more or {})})
    return folder / name, model
