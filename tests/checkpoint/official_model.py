"""The small official model of the golden vectors: its files, and a config of ours for it."""

import json
from functools import lru_cache
from pathlib import Path

import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from safetensors.torch import load_file

CASE = Path(__file__).parents[1] / 'golden/data/rein/rein_dinov2_mask2former_e2e'
CONFIG = json.loads(CASE.with_suffix('.json').read_text())['config']


@lru_cache
def weights():
    """Returns encoder, tokens and head by their official names."""
    content = load_file(CASE.with_suffix('.safetensors'))
    return {k.removeprefix('weight.'): v for k, v in content.items() if k.startswith('weight.')}


def split():
    """Returns what official training saves, and the encoder by the names of its own file."""
    adapter = {k: v for k, v in weights().items() if 'rein' in k or k.startswith('decode_head.')}
    encoder = {k.removeprefix('backbone.'): v for k, v in weights().items() if k not in adapter}
    return adapter, encoder


def write(folder):
    """Writes encoder, adapter-only and whole official files; returns their paths by these names."""
    adapter, encoder = split()
    paths = {name: str(folder / f'{name}.pth') for name in ('encoder', 'adapter', 'whole')}
    torch.save(encoder, paths['encoder'])
    meta = dict(dataset_meta=dict(classes=('a', 'b', 'c', 'd', 'e')), iter=40000)
    hub = MessageHub(f'official-{folder.name}')
    hub.update_scalar('train/loss', 1.5)
    training = dict(message_hub=hub.state_dict(), optimizer=dict(state={}, param_groups=[]))
    torch.save(dict(state_dict=adapter, meta=meta, **training), paths['adapter'])
    torch.save(dict(state_dict=weights(), meta=meta), paths['whole'])
    return paths


def config(encoder_file, *, num_classes=5, encoder=None, head=None, **peft):
    """Returns the config of our model with its encoder in ``encoder_file``."""
    official, sizes = CONFIG['backbone'], CONFIG['head']
    reins = official['reins_config']
    arch = dict(
        embed_dims=official['embed_dim'],
        num_layers=official['depth'],
        num_heads=official['num_heads'],
        feedforward_channels=int(official['embed_dim'] * official['mlp_ratio']),
    )
    return dict(
        type='PEFTSegmentor',
        backbone=dict(
            type='PEFTBackbone',
            encoder=dict(
                name='tiny',
                type='DINOv2',
                arch=arch,
                img_size=official['img_size'],
                out_indices=official['out_indices'],
                checkpoint=encoder_file,
            )
            | (encoder or {}),
            peft=dict(
                type='Rein',
                num_tokens=reins['token_length'],
                rank=reins['lora_dim'],
                query_dims=reins['query_dims'],
            )
            | peft,
        ),
        decode_head=head
        or dict(
            type='Mask2FormerHead',
            feat_channels=sizes['feat'],
            num_queries=sizes['queries'],
            num_heads=sizes['heads'],
            encoder_layers=sizes['enc_layers'],
            decoder_layers=sizes['dec_layers'],
            encoder_hidden=sizes['enc_ffn'],
            decoder_hidden=sizes['dec_ffn'],
            num_points=sizes['points'],
            norm_groups=sizes['groups'],
        ),
        num_classes=num_classes,
        crop_size=(64, 64),
        test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(43, 43)),
    )


def build(*args, **options):
    init_default_scope('mmseg')
    return MODELS.build(config(*args, **options))
