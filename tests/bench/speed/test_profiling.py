"""Parts of a step: their times add up to the whole, the backward pass too; kinds of operations."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.apis import load_config
from rein_seg.bench.speed.benchmark_target import BenchmarkTarget, Work
from rein_seg.bench.speed.parts import PARTS, PartTrack, tracked
from rein_seg.bench.speed.profiling import EXEMPT_PARTS, KINDS, kind_of, profile_step
from tests.bench.speed.tiny import mask2former_file
from tests.encoders.tiny import ENCODERS
from tests.heads.tiny import HEADS

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def target(tmp_path_factory):
    cfg = load_config(mask2former_file(tmp_path_factory.mktemp('speed')))
    return BenchmarkTarget(cfg, Work(size=(64, 64)))


@pytest.fixture(scope='module')
def profiled(target):
    target.eager_step()
    return profile_step(target.eager_step, target.model, CPU, target.optim_wrapper)


def test_times_add_up_to_the_step(profiled):
    parts = profiled['parts']
    assert sum(part['ms'] for part in parts.values()) == pytest.approx(profiled['ms'], rel=0.02)
    assert sum(part['share'] for part in parts.values()) == pytest.approx(1, rel=0.02)
    for part in parts.values():
        assert sum(part['kinds'].values()) == pytest.approx(part['ms'])
        assert 0 <= part['backward_ms'] <= part['ms'] * (1 + 1e-9)
    assert profiled['idle_ms'] is None


def test_every_part_of_the_published_system_is_found(profiled):
    parts = profiled['parts']
    absent = set(PARTS) - set(parts)
    assert absent == {'head', 'neck', 'prediction', 'windows', 'labels'}
    for name in ('encoder blocks', 'method', 'pixel decoder', 'deformable sampling', 'losses'):
        assert 0 < parts[name]['backward_ms'] < parts[name]['ms'], name
    for name in ('matching', 'Hungarian solver', 'optimizer', 'preprocessing'):
        assert parts[name]['backward_ms'] == 0, name
    assert parts['encoder blocks']['kinds']['attention'] > 0
    assert parts['pixel decoder']['kinds']['convolution'] > 0
    assert parts['3x3 convolution']['kinds']['convolution'] > 0
    assert set(parts['feed-forward']['kinds']) >= {'matrix product', 'elementwise'}
    assert 'gather' in parts['deformable sampling']['kinds']


def test_what_is_outside_leaves_the_exempt_out(profiled):
    outside, parts = profiled['outside'], profiled['parts']
    assert set(outside) == set(parts) - set(EXEMPT_PARTS)
    assert list(outside.values()) == sorted(outside.values(), reverse=True)
    spent = parts['pixel decoder']
    left = spent['ms'] - spent['kinds']['convolution']
    assert outside['pixel decoder'] == pytest.approx(left / profiled['ms'])


def test_a_prediction_has_its_parts(target, tmp_path):
    slide = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))
    cfg = load_config(mask2former_file(tmp_path), cfg_options={'model.test_cfg': slide})
    own = BenchmarkTarget(cfg, Work('predict', size=(64, 96)))
    found = profile_step(own.eager_step, own.model, CPU)
    assert {'windows', 'labels', 'prediction', 'encoder blocks'} <= set(found['parts'])
    assert all(part['backward_ms'] == 0 for part in found['parts'].values())


def test_the_model_is_left_as_it_was(target):
    own = {id(module): dict(vars(module)) for module in target.model.modules()}
    hooks = {
        key: [*value['_forward_hooks'].values(), *value['_forward_pre_hooks'].values()]
        for key, value in own.items()
    }
    with pytest.raises(KeyError), tracked(target.model, target.optim_wrapper):
        assert 'forward' in vars(target.model.backbone)
        raise KeyError
    for module in target.model.modules():
        assert vars(module).keys() == own[id(module)].keys()
        now = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        assert now == hooks[id(module)]
    assert not {'step', 'backward', 'zero_grad'} & vars(target.optim_wrapper).keys()


def test_a_head_of_sam_that_matches_classes_is_tracked():
    encoder = {**ENCODERS['sam'], 'out_indices': [1], 'neck': True, 'neck_channels': 16}
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='ConvLoRA'))
    cfg = dict(type='PEFTSegmentor', backbone=backbone, num_classes=4, **HEADS['SAM, classes'])
    model = MODELS.build(cfg)
    with tracked(model):
        assert {'forward', 'loss', 'predict'} <= vars(model.decode_head).keys()
    assert not {'forward', 'loss', 'predict'} & vars(model.decode_head).keys()


def test_nodes_belong_to_the_part_that_made_them():
    track, x = PartTrack(), torch.ones(3, requires_grad=True)
    with track.inside('method'):
        y = x * 2
        with track.inside('neck'):
            z = y.exp()
        w = z + y
    out = w.sum()
    nodes = {'method': [y, w], 'neck': [z], 'other': [out]}
    for part, tensors in nodes.items():
        assert {track.of_node(t.grad_fn._sequence_nr()) for t in tensors} == {part}
    gradient = y.grad_fn.next_functions[0][0]  # adds up what a parameter gets
    assert track.of_node(gradient._sequence_nr()) == 'backward, rest'


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('aten::mkldnn_convolution', 'convolution'),
        ('aten::conv2d', 'convolution'),
        ('aten::convolution_backward', 'convolution'),
        ('aten::resolve_conj', 'elementwise'),
        ('aten::_scaled_dot_product_flash_attention_for_cpu', 'attention'),
        ('aten::addmm', 'matrix product'),
        ('aten::linear', 'matrix product'),
        ('mkldnn::_linear_pointwise', 'matrix product'),
        ('aten::upsample_bilinear2d', 'resize'),
        ('aten::_embedding_bag', 'gather'),
        ('aten::embedding_dense_backward', 'index, sort'),
        ('aten::native_layer_norm', 'norm'),
        ('aten::linalg_vector_norm', 'elementwise'),
        ('aten::_softmax', 'softmax'),
        ('aten::copy_', 'copy, fill'),
        ('aten::argsort', 'index, sort'),
        ('aten::gelu', 'elementwise'),
        ('Optimizer.step#AdamW.step', 'optimizer'),
        ('part:matching', 'Python'),
        ('AddmmBackward0', 'Python'),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind
    assert kind in KINDS
