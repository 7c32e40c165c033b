"""The small official model of the golden vectors: its files, and a config of ours for it."""

import json
from functools import lru_cache

import torch
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from safetensors.torch import load_file

from tests.paths import REPO

CASE = REPO / 'tests/golden/data/rein/rein_dinov2_mask2former_e2e.json'


@lru_cache
def sidecar(case=CASE):
    """Returns what the vectors of one whole model say about it."""
    return json.loads(case.read_text())


@lru_cache
def weights(case=CASE):
    """Returns encoder, tokens and head by their official names."""
    content = load_file(case.with_suffix('.safetensors'))
    return {k.removeprefix('weight.'): v for k, v in content.items() if k.startswith('weight.')}


def split(case=CASE):
    """Returns what official training saves, and the encoder by the names of its own file."""
    kept = sidecar(case)['adapter_only_state_dict']
    adapter = {name: weights(case)[name] for name in kept}
    encoder = {
        name.removeprefix('backbone.'): tensor
        for name, tensor in weights(case).items()
        if name not in adapter
    }
    return adapter, encoder


def write(folder, case=CASE):
    """Writes encoder, adapter-only and whole official files; returns their paths by these names."""
    adapter, encoder = split(case)
    paths = {name: str(folder / f'{name}.pth') for name in ('encoder', 'adapter', 'whole')}
    torch.save(encoder, paths['encoder'])
    classes = tuple(f'class {i}' for i in range(sidecar(case)['config']['head']['classes']))
    meta = dict(dataset_meta=dict(classes=classes), iter=40000)
    hub = MessageHub(f'official-{folder.name}')
    hub.update_scalar('train/loss', 1.5)
    training = dict(message_hub=hub.state_dict(), optimizer=dict(state={}, param_groups=[]))
    torch.save(dict(state_dict=adapter, meta=meta, **training), paths['adapter'])
    torch.save(dict(state_dict=weights(case), meta=meta), paths['whole'])
    return paths


def unused(case=CASE):
    """Returns the names of tokens that the official model keeps and ours has no use for."""
    reins = sidecar(case)['config']['backbone']['reins_config']
    leaves = [] if reins.get('link_token_to_query', True) else ['transform', 'merge']
    leaves += ['scale'] if reins.get('zero_mlp_delta_f', False) else []
    prefixes = tuple(f'backbone.reins.{leaf}' for leaf in leaves)
    return {name for name in weights(case) if name.startswith(prefixes)}


def encoder_of(official):
    """Returns our encoder for the ``backbone`` of an official config."""
    swiglu = official.get('ffn_layer', 'mlp') != 'mlp'
    return dict(
        name='tiny',
        type='DINOv2',
        arch=dict(
            embed_dims=official['embed_dim'],
            num_layers=official['depth'],
            num_heads=official['num_heads'],
            feedforward_channels=int(official['embed_dim'] * official['mlp_ratio']),
            ffn_type='swiglu_fused' if swiglu else 'origin',
        ),
        img_size=official['img_size'],
        patch_size=official['patch_size'],
        out_indices=official['out_indices'],
    )


def method_of(official):
    """Returns our method for an official ``reins_config``; what it leaves out is our default."""
    names = dict(
        token_length='num_tokens',
        link_token_to_query='link_to_queries',
        query_dims='query_dims',
        use_softmax='use_softmax',
        scale_init='scale_init',
        zero_mlp_delta_f='zero_init',
        patch_size='init_patch_size',
    )
    given = {ours: official[theirs] for theirs, ours in names.items() if theirs in official}
    rank = 0 if official['type'] == 'Reins' else official.get('lora_dim', 16)
    return dict(type='Rein', rank=rank, **given)


def head_of(official):
    """Returns our head for the short names of an official head."""
    return dict(
        type='Mask2FormerHead',
        feat_channels=official['feat'],
        num_queries=official['queries'],
        content_from_queries=official.get('replace_query_feat', True),
        num_heads=official['heads'],
        encoder_layers=official['enc_layers'],
        decoder_layers=official['dec_layers'],
        encoder_hidden=official['enc_ffn'],
        decoder_hidden=official['dec_ffn'],
        num_points=official['points'],
        norm_groups=official['groups'],
        project_inputs=official.get('enforce_proj', False),
    )


def config(encoder_file, *, case=CASE, num_classes=None, encoder=None, head=None, **peft):
    """Returns the config of our model for a case, with its encoder in ``encoder_file``."""
    official = sidecar(case)['config']
    backbone = official['backbone']
    return dict(
        type='PEFTSegmentor',
        backbone=dict(
            type='PEFTBackbone',
            encoder=encoder_of(backbone) | dict(checkpoint=encoder_file) | (encoder or {}),
            peft=method_of(backbone['reins_config']) | peft,
        ),
        decode_head=head or head_of(official['head']),
        num_classes=num_classes or official['head']['classes'],
        crop_size=official['crop'],
        test_cfg=dict(
            mode='slide', crop_size=official['crop'], stride=official['stride'], keep_logits=True
        ),
    )


def build(*args, **options):
    init_default_scope('mmseg')
    return MODELS.build(config(*args, **options))
