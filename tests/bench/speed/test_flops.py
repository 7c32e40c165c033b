"""FLOPs against counts by hand: linears, convolutions, attention, samples; forward and backward."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rein_seg.bench.speed import flops as module
from rein_seg.bench.speed.benchmark_target import BenchmarkTarget, Work
from rein_seg.bench.speed.flops import count_flops
from rein_seg.fast import gathered_sampling
from rein_seg.heads.mask2former.deform_attn import deform_sample
from tests.run.tiny_run import tiny_config

# tiny_run's encoder on 32x64: 4x8 patches of 8 pixels and a class token; width 32, FFN 64, 2 blocks
PATCHES, TOKENS, WIDTH, FFN, BLOCKS = 32, 33, 32, 64, 2
LINEARS = 2 * TOKENS * (4 * WIDTH * WIDTH + 2 * WIDTH * FFN)
ATTENTION = 2 * 2 * TOKENS * TOKENS * WIDTH


def counts(folder, batch=1, mode='train', **options):
    target = BenchmarkTarget(tiny_config(folder, **options), Work(mode, batch=batch))
    return target, count_flops(target.eager_step, target.model, target.optim_wrapper)


@pytest.mark.parametrize('batch', [1, 2])
def test_a_frozen_encoder_and_a_linear_head(tmp_path, batch):
    peft = dict(type='Frozen', _delete_=True)
    target, found = counts(tmp_path, batch, model__backbone__peft=peft)
    classes = target.model.num_classes
    head = 2 * PATCHES * (2 * WIDTH) * classes  # two maps, one after the other
    assert found == {
        'encoder, rest': {'forward': batch * 2 * PATCHES * 3 * 8 * 8 * WIDTH, 'backward': 0},
        'encoder blocks': {'forward': batch * BLOCKS * (LINEARS + ATTENTION), 'backward': 0},
        # gradients of the convolution's weight, and of its input for the norm before it
        'head': {'forward': batch * head, 'backward': batch * 2 * head},
    }


def test_a_prediction_has_no_backward_pass(tmp_path):
    peft = dict(type='Frozen', _delete_=True)
    _, trained = counts(tmp_path, model__backbone__peft=peft)
    _, found = counts(tmp_path, mode='predict', model__backbone__peft=peft)
    assert sum(part['backward'] for part in found.values()) == 0
    assert found['head']['forward'] == trained['head']['forward']


def test_an_adapter_counts_as_the_method(tmp_path):
    peft = dict(type='LoRA', rank=4, targets=['proj'], _delete_=True)
    _, found = counts(tmp_path, model__backbone__peft=peft)
    assert found['method']['forward'] == BLOCKS * 2 * TOKENS * 2 * WIDTH * 4
    assert found['encoder blocks']['forward'] == BLOCKS * (LINEARS + ATTENTION)
    # frozen linears hand on their input's gradient alone; none is needed before the first adapter
    first = 2 * TOKENS * (2 * WIDTH * FFN)
    rest = LINEARS + ATTENTION * 5 // 2  # attention computes its scores again
    assert found['encoder blocks']['backward'] == first + rest


def test_blocks_computed_again_count_twice(tmp_path):
    peft = dict(type='LoRA', rank=4, targets=['proj'], _delete_=True)
    once, again = (
        counts(
            tmp_path,
            model__backbone__peft=peft,
            model__backbone__activation_checkpointing=value,
        )[1]
        for value in (False, True)
    )
    for part in ('encoder blocks', 'method'):
        assert again[part]['forward'] == once[part]['forward']
        assert again[part]['backward'] - once[part]['backward'] == once[part]['forward']
    assert again['head'] == once['head']


def test_samples_count_a_product_and_a_sum_each():
    sizes, heads, points, width, queries = [(4, 6), (2, 3)], 2, 4, 8, 7
    value = torch.randn(1, 30, heads, width, requires_grad=True)
    offsets = torch.randn(1, queries, heads, 2, points, 2, requires_grad=True)
    weights, reference = torch.rand(1, queries, heads, 2, points), torch.rand(queries, 2)
    counter = FlopCounterMode(display=False, custom_mapping=module.FURTHER)
    forward = 2 * 4 * (queries * heads * 2 * points) * width
    gathered_sampling._can_sample_products()  # tries a product, once
    with counter:
        out = gathered_sampling.sample(value, offsets, weights, reference, sizes)
        assert counter.get_total_flops() == forward
        out.sum().backward()  # of the value, and of the corners' shares
    assert counter.get_total_flops() == 3 * forward


def test_both_ways_of_sampling_count_the_same_order():
    sizes = [(4, 6), (2, 3)]
    value = torch.randn(1, 30, 2, 8)
    offsets, weights = torch.randn(1, 7, 2, 2, 4, 2), torch.rand(1, 7, 2, 2, 4)
    found = []
    for sample in (gathered_sampling.sample, deform_sample.plain):
        counter = FlopCounterMode(display=False, custom_mapping=module.FURTHER)
        with counter:
            sample(value, offsets, weights, torch.rand(7, 2), sizes)
        found.append(counter.get_total_flops())
    corners = 2 * 4 * (7 * 2 * 2 * 4) * 8
    assert found[0] == corners
    assert found[1] == corners + corners // 4  # the weighted sum over points is a product apart


def test_attention_counts_with_and_without_a_mask():
    q = torch.randn(1, 2, 16, 8)
    for mask in (None, torch.ones(1, 1, 16, 16, dtype=torch.bool)):
        counter = FlopCounterMode(display=False, custom_mapping=module.FURTHER)
        with counter:
            nn.functional.scaled_dot_product_attention(q, q, q, attn_mask=mask)
        assert counter.get_total_flops() == 2 * 2 * 2 * 16 * 16 * 8
