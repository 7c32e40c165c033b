"""The contract of heads of whole images, on every method of the package."""

import copy
import inspect

import pytest
import torch
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmpretrain.structures import DataSample
from mmseg.registry import MODELS

from rein_seg.checkpoint import load_adapter, save_adapter
from rein_seg.errors import UserError
from rein_seg.registry import PEFT_METHODS
from tests.encoders.tiny import ENCODERS, with_joint
from tests.heads.image.tiny import IMAGE_HEADS, reads_joint
from tests.peft.cases import CASES
from tests.peft.contract import families, needed

ON = ('vit', 'resnet')
PAIRS = [
    pytest.param(case, family, id=f'{case.name}-{family}', marks=needed(case))
    for case in CASES
    for family in ON
    if family in families(case) and case.classes is None
]
every_head = pytest.mark.parametrize('name', IMAGE_HEADS)


def build(row, peft=None, family='vit', **options):
    torch.manual_seed(0)
    encoder = ENCODERS[family]
    if reads_joint(row):
        encoder = with_joint(ENCODERS['clip_joint'], 8)
    method = peft or dict(type='LoRA', rank=2)
    if isinstance(method, dict):
        method = {key: value for key, value in method.items() if key != 'num_classes'}
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=method)
    config = dict(type='PEFTImageModel', backbone=backbone, num_classes=3)
    return MODELS.build({**config, **row, **options})


def makes_queries(peft):
    arguments = inspect.signature(PEFT_METHODS.get(peft['type'])).parameters
    linked = arguments.get('link_to_queries')
    return linked is not None and peft.get('link_to_queries', linked.default)


def batch(size=(32, 48)):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(2, 3, *size, generator=generator)
    return images, [DataSample().set_gt_label(label) for label in (2, 0)]


def step(model):
    """Takes a step, and returns the trained parameters; all have a finite gradient."""
    wrapped = dict(optimizer=dict(type='AdamW', lr=1e-2))
    constructor = dict(type='TrainableOptimConstructor', optim_wrapper_cfg=wrapped)
    optimizer = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model)
    loss, _ = model.parse_losses(model.train()(*batch(), mode='loss'))
    assert torch.isfinite(loss)
    loss.backward()
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    bad = [n for n, p in trained.items() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not bad, bad
    optimizer.step()
    return trained


@pytest.mark.parametrize(('case', 'family'), PAIRS)
def test_every_method_trains_a_head_of_whole_images(case, family):
    peft = case.cfg
    if isinstance(peft, dict) and makes_queries(peft):
        with pytest.raises(UserError, match='makes queries, but LinearImageHead takes none'):
            build(IMAGE_HEADS['Linear'], peft, family)
        peft = {**peft, 'link_to_queries': False}
    model = build(IMAGE_HEADS['Linear'], peft, family)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    trained = step(model)
    assert any(name.startswith('head.') for name in trained)
    now = dict(model.named_parameters())
    assert all(torch.equal(p, now[name]) for name, p in frozen.items())


@every_head
def test_a_step_moves_head_and_method_and_predictions_have_their_shape(name):
    model = build(IMAGE_HEADS[name])
    before = copy.deepcopy(model.eval()).predict(batch()[0])
    step(model)
    after = model.eval().predict(batch()[0])
    field = 'embedding' if model.head.output == 'embedding' else 'pred_score'
    for old, new in zip(before, after, strict=True):
        assert new.get(field).dim() == 1
        assert not torch.equal(old.get(field), new.get(field))
        if field == 'pred_score':
            assert new.pred_score.shape == (3,)
            torch.testing.assert_close(new.pred_score.sum(), torch.tensor(1.0))


@every_head
def test_autocast_is_near_and_gradients_are_finite(name):
    model = build(IMAGE_HEADS[name]).train()
    images, samples = batch()
    plain = model(images, samples, mode='loss')['head.loss_ce']
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model(images, samples, mode='loss')
    losses['head.loss_ce'].float().backward()
    torch.testing.assert_close(losses['head.loss_ce'].float(), plain, rtol=0.1, atol=0.1)
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads
    assert all(torch.isfinite(grad).all() for grad in grads)


@every_head
def test_an_adapter_brings_all_that_was_trained(name, tmp_path):
    model = build(IMAGE_HEADS[name])
    step(model)
    path = tmp_path / 'adapter.safetensors'
    save_adapter(path, model, model.identity)
    other = build(IMAGE_HEADS[name])
    load_adapter(path, other, other.identity)
    images = batch()[0]
    pairs = zip(model.eval().predict(images), other.eval().predict(images), strict=True)
    for a, b in pairs:
        field = 'embedding' if 'embedding' in a else 'pred_score'
        assert torch.equal(a.get(field), b.get(field))
    segmentor = dict(type='PEFTSegmentor', decode_head=dict(type='LinearHead'))
    backbone = dict(type='PEFTBackbone', encoder=ENCODERS['vit'], peft=dict(type='LoRA', rank=2))
    pixels = MODELS.build({**segmentor, 'backbone': backbone, 'num_classes': 3})
    with pytest.raises(UserError, match='of a model that gives one result for a whole image'):
        load_adapter(path, pixels, pixels.identity)


@every_head
def test_one_class_and_contradictions_are_refused(name):
    with pytest.raises(UserError, match='num_classes=1: expected 2 or more'):
        build({**IMAGE_HEADS[name], 'text': None}, num_classes=1)
    head = {**IMAGE_HEADS[name]['head'], 'num_classes': 7}
    with pytest.raises(UserError, match='has num_classes=7, the model num_classes=3'):
        build({**IMAGE_HEADS[name], 'head': head})
