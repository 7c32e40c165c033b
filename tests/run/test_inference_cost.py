"""Inference is timed as trained, merged and frozen; the model stays what it was."""

import math

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.config.load import load_config
from rein_seg.registry import method_class
from rein_seg.run.inference_cost import (
    _figures,
    _frozen,
    _merged,
    _with_backbone,
    time_inference,
)
from tests.peft.cases import CASES
from tests.run.tiny_run import tiny_config

_SINGLE = [case for case in CASES if isinstance(case.cfg, dict) and not case.needs]
ON_VIT = {}  # the first case of each method, but of those that are for whole images
for _case in _SINGLE:
    moves = method_class(_case.cfg['type']).moves_pixels
    if not moves and 'vit' in (_case.families or ['vit']):
        ON_VIT.setdefault(_case.cfg['type'], _case)
TIMES = ('ms_per_image', 'encoder_ms', 'encoder_ms_frozen', 'encoder_ratio')
SIZE = (32, 64)


def build(folder, peft, **test_cfg):
    peft = {key: value for key, value in peft.items() if key != 'num_classes'}  # is filled in
    cfg = tiny_config(folder, **{'model__backbone__peft': {'_delete_': True, **peft}})
    cfg.model.test_cfg = {**cfg.model.test_cfg, **test_cfg}
    model = MODELS.build(cfg.model)
    with torch.no_grad():
        for _, parameter in model.backbone.peft.trainable_parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model


def logits(model):
    image = torch.linspace(-1, 1, 3 * 32 * 64).view(1, 3, 32, 64)
    with torch.no_grad():
        return model.eval().encode_decode(image, [dict(img_shape=SIZE)])


@pytest.mark.parametrize('case', ON_VIT.values(), ids=lambda case: case.name)
def test_every_method(tmp_path, case):
    model = build(tmp_path, case.cfg)
    before = logits(model)
    model.train()
    found = time_inference(model, SIZE, repeats=2, seconds=0)
    assert model.training
    assert torch.equal(logits(model), before)
    assert not model.backbone.peft.merged
    assert found['size'] == [32, 64]
    assert all(math.isfinite(found[key]) and found[key] > 0 for key in TIMES)
    merged = [found[f'{key}_merged'] for key in TIMES if key != 'encoder_ms_frozen']
    if case.merges:
        assert found['not_mergeable'] is None
        assert all(value > 0 for value in merged)
    else:
        assert merged == [None] * 3
        assert 'cannot be merged' in found['not_mergeable']


def test_what_is_timed_is_what_it_is_called(tmp_path):
    image = torch.randn(1, 3, *SIZE)
    backbone = build(tmp_path, dict(type='LoRA', rank=4)).backbone.eval()
    plain = build(tmp_path, dict(type='Frozen')).backbone.eval()
    with torch.no_grad():
        ours, frozen = backbone(image).maps[-1], plain(image).maps[-1]
        assert torch.equal(_frozen(backbone)(image)[-1], frozen)
        merged, reason = _merged(backbone)
        torch.testing.assert_close(merged.encoder(image)[-1], ours, atol=1e-4, rtol=1e-4)
        assert torch.equal(backbone(image).maps[-1], ours)
    assert reason is None
    assert not torch.allclose(ours, frozen, atol=1e-2)


def test_a_window_is_what_goes_through_at_once(tmp_path):
    slide = dict(mode='slide', crop_size=(16, 32), stride=(8, 16))
    model = build(tmp_path, dict(type='Frozen'), **slide)
    assert time_inference(model, (32, 64), repeats=1, seconds=0, amp=True)['size'] == [16, 32]


def test_medians_are_milliseconds_and_the_fastest_calls_make_the_ratio():
    found = _figures(
        {'ms_per_image': [0.4, 0.9, 0.5], 'encoder_ms': [3, 9], 'encoder_ms_frozen': [8, 2]}
    )
    assert found['ms_per_image'] == 500
    assert (found['encoder_ratio'], found['encoder_ratio_merged']) == (1.5, None)


def test_the_model_with_another_backbone_shares_all_else(tmp_path):
    model = build(tmp_path, dict(type='LoRA', rank=4)).eval()
    other = build(tmp_path, dict(type='Frozen')).backbone.eval()
    twin = _with_backbone(model, other)
    assert twin.decode_head is model.decode_head
    assert (twin.backbone is other, model.backbone is other) == (True, False)
    assert not torch.equal(logits(twin), logits(model))


def test_a_method_that_reads_the_names_of_classes_is_timed_with_them():
    cfg = load_config('cavpt_tinyclip_minivehicles')
    model = MODELS.build(cfg.model).train()
    found = time_inference(model, (72, 96), repeats=1, seconds=0)
    assert model.training
    assert all(math.isfinite(found[key]) and found[key] > 0 for key in TIMES)
    assert 'cannot be merged' in found['not_mergeable']
