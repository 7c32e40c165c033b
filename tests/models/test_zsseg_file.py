"""Official checkpoints of zsseg: the first stage is loaded completely, the rest is named."""

import pickle

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_checkpoint, read_checkpoint
from rein_seg.errors import UserError
from tests.models import zsseg_official as sizes
from tests.models.zsseg_official import official_state

CLASSES = ['road', 'sky', 'car']
HEAD = dict(
    type='MaskFormerHead',
    embed_dims=sizes.DIMS,
    mask_dims=sizes.DIMS,
    embed_hidden_dims=sizes.HIDDEN,
    num_queries=sizes.QUERIES,
    num_layers=sizes.LAYERS,
    num_heads=2,
    feedforward_channels=sizes.HIDDEN,
    norm_groups=2,
)


def build(peft='Full', head=None, encoder='ResNet'):
    resnet = dict(
        type=f'mmseg.{encoder}',
        depth=18,
        stem_channels=sizes.STEM,
        base_channels=8,
        out_indices=[0, 1, 2, 3],
        init_seed=0,
    )
    text = dict(type='ClassTable', classes=CLASSES, dims=sizes.TEXT, init_seed=0)
    linear = (head or {}).get('classifier') == 'linear'
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=resnet, peft=dict(type=peft)),
            text=None if linear else text,
            decode_head={**HEAD, **(head or {})},
            num_classes=3,
        )
    ).eval()


def load(state, model):
    return load_checkpoint({'model': state, 'iteration': 3}, model, source='zsseg.pth')


@pytest.mark.parametrize('counters', [False, True])
@pytest.mark.parametrize('encoder', ['ResNet', 'ResNetV1c'])
def test_the_first_stage_is_loaded_completely(encoder, counters):
    state = official_state(deep_stem=encoder == 'ResNetV1c', counters=counters)
    model = build(encoder=encoder)
    report = load(state, model)
    assert 'official zsseg checkpoint from zsseg.pth: ' in report and '0 unexpected' in report
    assert 'left out: clip_adapter (2 tensors)' in report
    assert 'left out: criterion (1 tensors)' in report
    ours = model.state_dict()
    stem = 'stem.6' if encoder == 'ResNetV1c' else 'conv1'
    last = 'stem.conv3' if encoder == 'ResNetV1c' else 'stem.conv1'
    head = 'decode_head.pixel_decoder.'
    official = 'sem_seg_head.pixel_decoder.'
    for mine, theirs in {
        f'backbone.encoder.{stem}.weight': f'backbone.{last}.weight',
        'backbone.encoder.layer2.0.downsample.1.bias': 'backbone.res3.0.shortcut.norm.bias',
        'backbone.encoder.layer4.1.bn2.bias': 'backbone.res5.1.conv2.norm.bias',
        f'{head}adapters.2.gn.bias': f'{official}adapter_3.norm.bias',
        f'{head}layers.3.conv.weight': f'{official}layer_4.weight',
        'decode_head.predictor.input_proj.weight': 'sem_seg_head.predictor.input_proj.weight',
        'decode_head.non_object_embedding': 'clip_adapter.non_object_embedding',
    }.items():
        assert torch.equal(ours[mine], state[theirs]), mine


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(peft='LoRA'), "holds a trained image encoder, .* is LoRA: set .*='Full'"),
        (dict(head=dict(classifier='linear')), 'MaskFormer head that reads class names'),
        (dict(encoder='ResNetV1c'), "is not the config's .*: the weights file has conv1"),
        (dict(head=dict(num_queries=4)), r'query_embed.*5'),
    ],
)
def test_another_model_is_refused_in_words(options, message):
    with pytest.raises(UserError, match=message):
        load(official_state(), build(**options))


def test_a_pickle_of_detectron_is_not_read(tmp_path):
    path = tmp_path / 'zsseg.pkl'
    path.write_bytes(pickle.dumps({'model': {'a': 1}, '__author__': 'anyone'}, protocol=2))
    with pytest.raises(UserError, match='but a plain pickle.*would run its code.*safetensors'):
        read_checkpoint(path)
