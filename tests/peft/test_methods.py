"""What is particular to one method."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import Rein
from rein_seg.structures import Anatomy, OpSite, StreamSite
from tests.encoders.tiny import ENCODERS
from tests.peft.formulas import rein_formula


def backbone(family='vit', **peft):
    return MODELS.build(dict(type='PEFTBackbone', encoder=ENCODERS[family], peft=peft))


def stream(depth, channels):
    """The anatomy of a plain encoder as far as Rein's sizes depend on it."""
    sites = (StreamSite(i, 0, i, channels, where='out', taps=()) for i in range(depth))
    return Anatomy('toy', tuple(sites), 1, 16, (), (), (depth,), (channels,))


def count(model):
    return sum(p.numel() for p in model.peft.parameters())


@pytest.mark.parametrize(
    ('depth', 'channels', 'rank', 'expected'),
    [
        (12, 384, 16, 684_033),
        (12, 768, 16, 1_741_569),
        (24, 1024, 16, 2_990_081),
        (40, 1536, 16, 6_359_041),
        (12, 384, 0, 1_051_905),
        (24, 1024, 0, 5_016_065),
    ],
)
def test_rein_has_the_published_number_of_parameters(depth, channels, rank, expected):
    from rein_seg.peft.methods.rein import ReinStage

    stage = ReinStage(depth, channels, num_tokens=100, rank=rank, query_dims=256)
    assert sum(p.numel() for p in stage.parameters()) == expected
    if rank:
        assert rein_formula(depth, channels) == expected


def test_rein_has_one_module_a_stage_on_convnext_and_sums_the_queries():
    model = backbone('convnext', type='Rein', num_tokens=5, rank=4, query_dims=8)
    assert [stage.mlp_delta_f.in_features for stage in model.peft.stages] == [16, 32]
    expected = model.peft.stages[0].queries() + model.peft.stages[1].queries()
    torch.testing.assert_close(model.peft.queries(), expected)
    assert model.query_dims == 8


def test_rein_init_bounds():
    rein = Rein(num_tokens=50, rank=16)
    rein.build(stream(24, 1024))
    bound = (6 / (3 * 16**2 + (1024 * 16) ** 0.5)) ** 0.5
    tokens = rein.stages[0].learnable_tokens_a
    assert bound == pytest.approx(0.0818, abs=1e-4)
    assert tokens.abs().max() <= bound
    assert tokens.abs().max() > 0.99 * bound
    assert rein.stages[0].scale.item() == pytest.approx(0.001)


def test_rein_leaves_prefix_tokens_alone():
    model = backbone(type='Rein', num_tokens=5, rank=4, query_dims=8).eval()
    x = torch.randn(2, 1 + 16, 32)
    site = model.anatomy.find(type(model.anatomy.sites[-1]), where='out')[0]
    from rein_seg.peft.context import Context

    delta = model.peft.refine(x, Context(site, 'NLC', model.anatomy))
    assert not delta[:, 0].any()
    assert delta[:, 1:].abs().min() > 0


def test_lora_counts_and_parts():
    every = backbone(type='LoRA', rank=4)
    # r (in + out) for q, k, v, proj, fc1 and fc2 of three blocks
    assert count(every) == 3 * 4 * (4 * (32 + 32) + 2 * (32 + 64))
    q_and_v = backbone(type='LoRA', rank=4, targets=['q', 'v'])
    assert count(q_and_v) == 3 * 4 * 2 * (32 + 32)


def test_lora_on_q_and_v_leaves_k_alone():
    model = backbone(type='LoRA', rank=4, targets=['q', 'v'])
    layer = next(iter(model.peft.layers.values()))
    layer.lora_B.data.normal_()
    delta = layer.product()
    assert delta.shape == (96, 32)
    assert not delta[32:64].any()
    assert delta[:32].any()
    assert delta[64:].any()


def test_lora_takes_what_the_encoder_has_by_default_and_says_what_it_lacks():
    assert count(backbone('convnext', type='LoRA')) > 0
    with pytest.raises(UserError, match=r"has no \['q'\]; it has .*fc1"):
        backbone('convnext', type='LoRA', targets=['q'])
    with pytest.raises(UserError, match='grouped convolution .*depthwise_conv'):
        backbone('convnext', type='LoRA', targets=['dw'])


def test_lora_scale_is_alpha_over_rank_or_its_root():
    layers = [
        next(
            iter(backbone(type='LoRA', rank=4, alpha=8, rank_stabilized=root).peft.layers.values())
        )
        for root in (False, True)
    ]
    assert [layer.scaling for layer in layers] == [2, 4]


def test_lora_in_kernel_form_takes_grouped_convolutions():
    model = backbone('convnext', type='LoRA', targets=['dw'], rank=2, conv_form='kernel')
    site = model.anatomy.find(OpSite, role='dw')[0]
    layer = model.peft.layers[site.name.replace('.', '_')]
    # r k x in k and out / groups k x r k of a 7x7 convolution on 16 channels, one group each
    assert (layer.lora_A.shape, layer.lora_B.shape) == ((14, 112), (7, 14))
    assert layer.product().shape == site.module.weight.shape
    with pytest.raises(UserError, match='expected spatial or kernel'):
        backbone(type='LoRA', conv_form='dense')


def test_lora_dropout_acts_in_training_only():
    model = backbone(type='LoRA', rank=4, dropout=0.5)
    for layer in model.peft.layers.values():
        layer.lora_B.data.normal_()
    x = torch.randn(1, 3, 32, 32)
    a, b = model(x).maps[-1], model(x).maps[-1]
    assert not torch.equal(a, b)
    model.eval()
    assert torch.equal(model(x).maps[-1], model(x).maps[-1])


def test_full_gives_up_when_its_weights_have_moved():
    model = backbone(type='Full')
    with torch.no_grad():
        model.encoder.pos_embed.add_(1)
    with pytest.raises(RuntimeError, match='trained the encoder'):
        model.peft.detach()


def test_no_graph_is_kept_below_the_first_trainable_site():
    model = backbone(type='LoRA', targets=['fc2'], blocks=[-1])
    maps = model(torch.randn(1, 3, 32, 32)).maps
    assert [m.requires_grad for m in maps] == [False, False, True]


def test_attaching_twice_is_refused():
    model = backbone(type='LoRA')
    with pytest.raises(RuntimeError, match='attached already'):
        model.peft.attach(model.encoder, model.anatomy)


@pytest.mark.parametrize(('blocks', 'expected'), [(None, 4_510_721), ([7, 15, 23, 31], 3_892_481)])
def test_rein_on_all_or_on_the_global_blocks_of_sam_huge(blocks, expected):
    rein = Rein(blocks=blocks)
    rein.build(stream(32, 1280))
    assert sum(p.numel() for p in rein.parameters()) == expected


def test_rein_after_some_blocks_only():
    model = backbone(type='Rein', num_tokens=5, rank=4, query_dims=8, blocks=[0, -1]).eval()
    assert len(model.peft.stages[0].learnable_tokens_a) == 2
    image = torch.randn(1, 3, 32, 32)
    plain, start = backbone(type='Frozen').eval()(image).maps, model(image).maps
    assert not torch.equal(start[0], plain[0])
    with torch.no_grad():
        model.peft.stages[0].learnable_tokens_b[1] += 1  # the last block's tokens
    later = model(image).maps
    assert torch.equal(later[1], start[1])
    assert not torch.equal(later[2], start[2])
    skipping = backbone('convnext', type='Rein', num_tokens=5, query_dims=8, blocks=[1, 2])
    assert [s.mlp_delta_f.in_features for s in skipping.peft.stages] == [32]
    with pytest.raises(UserError, match='block 9 does not exist'):
        backbone(type='Rein', blocks=[9])
