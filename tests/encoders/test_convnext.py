"""Official ConvNeXt files under mmpretrain's names, and what they do not hold."""

import pytest
import torch

from rein_seg.encoders import build_encoder
from rein_seg.encoders.convnext import convnext_weights
from rein_seg.errors import UserError
from tests.encoders.files import load

CONVNEXT = dict(
    type='mmpretrain.ConvNeXt',
    arch=dict(depths=[1, 1, 2, 1], channels=[8, 8, 16, 16]),
    out_indices=[0, 1, 2, 3],
    gap_before_final_norm=False,
    layer_scale_init_value=0.5,
    init_seed=0,
)
V2 = {**CONVNEXT, 'use_grn': True, 'layer_scale_init_value': 0.0}
SEGMENTATION = {
    'decode_head.conv_seg.weight': torch.ones(3, 16, 1, 1),
    'decode_head.psp_modules.0.1.conv.weight': torch.ones(8, 16, 1, 1),
    'auxiliary_head.convs.0.bn.running_mean': torch.ones(8),
    'neck.lateral_convs.0.conv.weight': torch.ones(8, 8, 1, 1),
}
OUTPUT_NORMS = [f'norm{i}.{leaf}' for i in range(3) for leaf in ('weight', 'bias')]


def trained(cfg):
    state = build_encoder(cfg)[0].state_dict()
    return {name: torch.rand_like(value) for name, value in state.items()}


def official(state):
    """The release's names: no norms of earlier outputs, one final norm, a head."""
    names = (
        ('depthwise_conv', 'dwconv'),
        ('pointwise_conv', 'pwconv'),
        ('norm3.', 'norm.'),
    )
    renamed = {}
    for name, value in state.items():
        if name in OUTPUT_NORMS:
            continue
        for ours, theirs in names:
            name = name.replace(ours, theirs)
        renamed[name] = value.reshape(1, 1, 1, -1) if '.grn.' in name else value
    return {**renamed, 'head.weight': torch.ones(4, 16), 'head.bias': torch.ones(4)}


@pytest.mark.parametrize('cfg', [CONVNEXT, V2], ids=['v1', 'v2'])
@pytest.mark.parametrize('linear', [True, False])
def test_official_file_loads_and_missing_norms_are_identity(cfg, linear, tmp_path):
    cfg = {**cfg, 'linear_pw_conv': linear}
    state = trained(cfg)
    file = official(state)
    if not linear:  # the release has linears
        file = {k: v.flatten(1) if 'pwconv' in k and v.dim() == 4 else v for k, v in file.items()}
    encoder = load(cfg, file, tmp_path)
    for name, value in encoder.state_dict().items():
        if name in OUTPUT_NORMS:
            assert (value == float(name.endswith('weight'))).all(), name
        else:
            assert torch.equal(value, state[name]), name
    done = convnext_weights(encoder, file)
    assert sorted(done.filled) == sorted(OUTPUT_NORMS)
    assert done.left_out == ('head.bias', 'head.weight')
    assert 'not in the file, started anew: norm0.weight' in str(done)


def test_mmpretrain_file_and_a_segmentation_model_of_all_norms(tmp_path):
    state = trained(CONVNEXT)
    prefixed = {f'backbone.{name}': value for name, value in state.items()}
    classifier = {
        k: v for k, v in prefixed.items() if k.removeprefix('backbone.') not in OUTPUT_NORMS
    }
    for i, file in enumerate((prefixed, classifier)):
        heads = {'head.fc.weight': torch.ones(4, 16)} if i else SEGMENTATION
        encoder = load(CONVNEXT, {**file, **heads}, tmp_path)
        assert convnext_weights(encoder, {**file, **heads}).left_out == tuple(sorted(heads))
        assert torch.equal(encoder.norm3.weight, state['norm3.weight'])
        assert torch.equal(encoder.norm0.weight, state['norm0.weight']) == (i == 0)


def test_final_norm_is_left_out_where_the_last_stage_is_not_an_output():
    cfg = {**CONVNEXT, 'out_indices': [0, 2]}
    encoder, _ = build_encoder(cfg)
    done = convnext_weights(encoder, official(trained(CONVNEXT)))
    assert set(done.tensors) == set(encoder.state_dict())
    assert {'norm3.weight', 'norm3.bias'} < set(done.left_out)


@pytest.mark.parametrize('name', ['stages.2.1.dwconv.weight', 'norm.weight'])
def test_missing_tensor_is_an_error(name, tmp_path):
    file = official(trained(CONVNEXT))
    file.pop(name)
    with pytest.raises(UserError, match='Missing: '):
        load(CONVNEXT, file, tmp_path)


def test_some_output_norms_without_the_others_is_an_error(tmp_path):
    file = trained(CONVNEXT)
    file.pop('norm1.weight')
    with pytest.raises(UserError, match='Missing: norm1.weight'):
        load(CONVNEXT, file, tmp_path)
