"""EVA02, and Rein on EVA02, ConvNeXt and ResNet, from files under the official names."""

import pytest
import torch
from mmseg.registry import MODELS
from safetensors.torch import save_file

from rein_seg.necks import TokenPyramid
from tests.golden.collect import assert_near, cases

KINDS = ('eva', 'reinseva', 'reinsconvnext', 'reinsresnet')


def eva02(config):
    assert config['subln'] and config['naiveswiglu'] and config['rope'] and config['intp_freq']
    assert config['use_abs_pos_emb'] and config['init_values'] is None
    assert config['norm_layer']['eps'] == 1e-6
    return dict(
        type='TimmEncoder',
        model='eva02_large_patch14_224',
        img_size=config['img_size'],
        patch_size=config['patch_size'],
        out_indices=config['out_indices'],
        resample='bicubic',
        model_args=dict(
            embed_dim=config['embed_dim'],
            depth=config['depth'],
            num_heads=config['num_heads'],
            mlp_ratio=config['mlp_ratio'],
            qkv_bias=config['qkv_bias'],
            ref_feat_shape=(config['pt_hw_seq_len'],) * 2,
        ),
    )


def staged(kind, config):
    """The reference classes derive from mmpretrain's and mmseg's and take their arguments."""
    ours = {k: v for k, v in config.items() if k not in ('reins_config', 'distinct_cfgs')}
    if kind == 'reinsconvnext':
        return dict(type='mmpretrain.ConvNeXt', **ours)
    return dict(type='mmseg.ResNetV1c', **ours)


def rein(config):
    if config is None:
        return dict(type='Frozen')
    return dict(
        type='Rein',
        num_tokens=config['token_length'],
        rank=config.get('lora_dim', 0),
        link_to_queries=config['link_token_to_query'],
        query_dims=config['query_dims'],
        init_patch_size=config['patch_size'],
    )


def split(weights):
    """Returns the encoder's tensors and those of Rein, under our names."""
    encoder = {k: v for k, v in weights.items() if not k.startswith('reins.')}
    adapters = {k.removeprefix('reins.'): v for k, v in weights.items() if k.startswith('reins.')}
    whole = not any(k.split('.')[0].isdigit() for k in adapters)  # one module, or one a stage
    return encoder, {f'peft.stages.{"0." if whole else ""}{k}': v for k, v in adapters.items()}


@pytest.mark.parametrize('golden', cases('rein', *KINDS))
def test_features_and_queries_equal_the_official_ones(golden, tmp_path):
    kind, config = golden.meta['kind'], golden.meta['config']
    weights, adapters = split(golden.tensors('weight'))
    path = tmp_path / 'official.safetensors'
    save_file({k: v.contiguous().clone() for k, v in weights.items()}, path)
    tokens = kind in ('eva', 'reinseva')
    encoder = eva02(config) if tokens else staged(kind, config)
    backbone = MODELS.build(
        dict(
            type='PEFTBackbone',
            encoder={**encoder, 'checkpoint': str(path)},
            peft=rein(config.get('reins_config')),
        )
    )
    backbone.load_state_dict(adapters, strict=True)
    neck = TokenPyramid(backbone.out_channels, (4, 2, 1, 0.5)) if tokens else tuple
    backbone.train()  # as in training: the frozen encoder stays in eval mode
    outputs, checked = golden.tensors('output'), 0
    for name, image in golden.tensors('input').items():
        with torch.no_grad():
            features = backbone(image)
        for i, x in enumerate(neck(features.maps)):
            assert_near(x, outputs[f'{name}.feat{i}'], f'{name}.feat{i}')
            checked += 1
        if features.queries is not None:
            assert_near(features.queries, outputs[f'{name}.query'], f'{name}.query')
            checked += 1
    assert checked == len(outputs)
