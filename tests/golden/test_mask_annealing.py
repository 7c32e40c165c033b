"""Probabilities of masks, rates of every tensor and of every step, as EoMT's and PMT's code."""

from types import SimpleNamespace

import pytest
import torch
from mmseg.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from rein_seg.engine import LinearCosineLR, MaskAnnealingHook, TwoStagePolyLR
from rein_seg.heads import EoMTHead
from tests.golden.collect import cases


@pytest.mark.parametrize('golden', cases('mask_annealing', 'mask_annealing'))
def test_probability_of_every_step(golden):
    config = golden.meta['config']
    steps, expected = golden.tensor('input.step'), golden.tensor('output.probability')
    blocks = expected.shape[1]
    head = EoMTHead(8, num_classes=2, in_strides=16, num_queries=1, num_blocks=blocks)
    hook = MaskAnnealingHook(config['start_steps'], config['end_steps'], power=config['poly_power'])
    wrapper = SimpleNamespace(should_update=lambda: True, _accumulative_counts=1)
    run = SimpleNamespace(bare_model=head, max_iters=int(steps.max()) + 1, optim_wrapper=wrapper)
    for step, probability in zip(steps.tolist(), expected, strict=True):
        run.iter = step  # a run that starts here
        hook.before_train(run)
        torch.testing.assert_close(head.attn_mask_probs, probability, rtol=0, atol=1e-6)
        if step:  # the same after the update before
            nn.init.ones_(head.attn_mask_probs)
            run.iter = step - 1
            hook.after_train_iter(run, run.iter)
            torch.testing.assert_close(head.attn_mask_probs, probability, rtol=0, atol=1e-6)


def segmentor(config):
    """The model of the sidecar with random weights."""
    sizes, is_pmt = config['model'], config['repository'] == 'pmt'
    assert sizes['encoder'] == 'timm_vit'
    args = dict(
        embed_dim=sizes['dim'],
        depth=sizes['depth'],
        num_heads=sizes['heads'],
        mlp_ratio=sizes['mlp_dim'] / sizes['dim'],
        reg_tokens=sizes['registers'],
        no_embed_class=sizes['no_embed_class'],
        init_values=1.0 if sizes['layer_scale'] else None,
    )
    levels = [1, sizes['depth'] - 1] if is_pmt else [sizes['depth'] - 1]
    encoder = dict(
        type='TimmEncoder',
        model='vit_small_patch14_dinov2',
        model_args=args,
        patch_size=sizes['patch'],
        img_size=sizes['image'],
        out_indices=levels,
        init_seed=0,
    )
    head = dict(
        type='PMTHead' if is_pmt else 'EoMTHead',
        num_queries=sizes['num_q'],
        num_blocks=sizes['num_blocks'],
        masked_attention=sizes['masked_attn_enabled'],
    )
    method = dict(type='Frozen' if is_pmt else 'Full')
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(type='PEFTBackbone', encoder=encoder, peft=method),
            decode_head=head,
            num_classes=sizes['num_classes'],
        )
    )


def our_name(name):
    """Returns our name of an official parameter."""
    if name.startswith('encoder.backbone.'):
        return name.replace('encoder.backbone.', 'backbone.encoder.model.')
    return 'decode_head.' + name.removeprefix('decoder.')


@pytest.mark.parametrize('golden', cases('mask_annealing', 'parameter_groups'))
def test_rate_decay_and_stage_of_every_tensor(golden):
    config, outputs = golden.meta['config'], golden.tensors('output')
    model = segmentor(config)
    paramwise = dict(decay_all=True, late_prefixes=['backbone.'])
    # the official ``lr_mult`` never acts: the recipe that sets it trains everything at one rate
    if config.get('llrd', 1.0) != 1.0:
        blocks = 0 if config['llrd_l2_enabled'] else config['model']['num_blocks']
        paramwise['layer_decay'] = dict(factor=config['llrd'], full_blocks=blocks)
    optimizer = dict(type='AdamW', lr=config['lr'], weight_decay=config['weight_decay'])
    constructor = dict(
        type='TrainableOptimConstructor',
        optim_wrapper_cfg=dict(optimizer=optimizer),
        paramwise_cfg=paramwise,
    )
    built = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor)(model).optimizer
    names = {p: name for name, p in model.named_parameters()}
    found = {names[p]: group for group in built.param_groups for p in group['params']}
    expected = [our_name(name) for name in golden.meta['names']]
    assert set(found) == set(expected)
    assert built.defaults['betas'] == tuple(golden.meta['checks']['betas'])
    assert built.defaults['eps'] == golden.meta['checks']['eps']
    own = golden.meta['tolerance']['output_max_abs']
    for i, name in enumerate(expected):
        assert found[name]['lr'] == pytest.approx(outputs['lr'][i].item(), abs=own['lr']), name
        decay = outputs['weight_decay'][i].item()
        assert found[name]['weight_decay'] == pytest.approx(decay, rel=1e-7), name
        assert found[name].get('late', False) == outputs['backbone'][i].item(), name


@pytest.mark.parametrize('golden', cases('mask_annealing', 'two_stage_poly', 'warmup_cosine'))
def test_rate_of_every_step(golden):
    config, expected = golden.meta['config'], golden.tensor('output.lr_over_base')
    late = config.get('backbone_groups', 0)
    groups = [
        dict(params=[nn.Parameter(torch.zeros(1))], lr=rate, **({'late': True} if i < late else {}))
        for i, rate in enumerate(config['base_lrs'])
    ]
    optimizer = torch.optim.AdamW(groups)
    steps = config['total_steps']
    if config['kind'] == 'two_stage_poly':
        options = dict(warmup=config['warmup_steps'], power=config['poly_power'])
        schedule = TwoStagePolyLR(optimizer, **options, end=steps, by_epoch=False)
    else:
        options = dict(warmup=config['warmup_steps'], eta_min=config['min_lr'])
        schedule = LinearCosineLR(optimizer, **options, end=steps, by_epoch=False)
    wanted = dict(zip(golden.tensor('input.step').tolist(), expected, strict=True))
    base = torch.tensor(config['base_lrs'])
    own = golden.meta['tolerance']['output_max_abs']['lr_over_base']
    for step in range(steps):
        if step in wanted:
            rates = torch.tensor([group['lr'] for group in optimizer.param_groups]) / base
            torch.testing.assert_close(rates, wanted[step], rtol=0, atol=own)
        optimizer.step()
        schedule.step()
