"""The config made for an official model follows every option and size of that model."""

import copy
import json

import pytest

from tests.checkpoint import official_model


@pytest.fixture
def other(tmp_path):
    """The sidecar of another official model: other sizes, every option turned round."""
    meta = copy.deepcopy(official_model.sidecar())
    config = meta['config']
    config['backbone'] |= dict(
        embed_dim=48,
        depth=5,
        num_heads=3,
        img_size=80,
        ffn_layer='swiglu',
        out_indices=[0, 1, 2, 4],
    )
    config['backbone']['reins_config'] = dict(
        type='Reins',
        token_length=6,
        patch_size=16,
        query_dims=16,
        link_token_to_query=True,
        use_softmax=False,
        zero_mlp_delta_f=True,
    )
    config['head'] |= dict(feat=16, classes=7, replace_query_feat=False, enforce_proj=True)
    config |= dict(crop=[80, 80], stride=[40, 40])
    path = tmp_path / 'other.json'
    path.write_text(json.dumps(meta))
    return path


def test_sizes_and_options_reach_the_model(other):
    model = official_model.build(None, case=other, encoder=dict(init_seed=0))
    state = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert state['backbone.peft.stages.0.learnable_tokens'] == (5, 6, 48)
    assert state['decode_head.cls_embed.weight'] == (8, 16)
    assert 'decode_head.querys2feat.weight' not in state
    assert state['decode_head.query_feat.weight'][1] == 16
    assert state['decode_head.decoder_input_projs.2.weight'] == (16, 16, 1, 1)
    stage = model.backbone.peft.stages[0]
    assert (stage.scale, stage._refine['use_softmax']) == (1.0, False)
    assert model.test_cfg.crop_size == [80, 80]
    assert any('w12' in name for name, _ in model.backbone.encoder.named_parameters())


def test_a_model_without_the_link_makes_its_own_queries(other):
    meta = json.loads(other.read_text())
    meta['config']['backbone']['reins_config']['link_token_to_query'] = False
    other.write_text(json.dumps(meta))
    model = official_model.build(None, case=other, encoder=dict(init_seed=0))
    assert model.decode_head.query_embed.weight.shape == (8, 16)
    assert not any('merge' in name for name in model.state_dict())


def test_nothing_of_the_kept_model_is_left_over():
    assert official_model.unused() == set()
