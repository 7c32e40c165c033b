"""The head as a part of a segmentor: levels, prefix, norm, batch statistics, bad input."""

import copy
from dataclasses import replace

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from rein_seg.errors import UserError
from rein_seg.heads import PMTHead
from rein_seg.heads.contract import HeadInputs
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features
from tests.encoders.tiny import ENCODERS

SIZES = dict(num_queries=5, num_blocks=2, loss=dict(num_points=16))
HEAD = dict(type='PMTHead', **SIZES)
CLASSES = 4


def build(**options):
    torch.manual_seed(0)
    options = {'num_classes': CLASSES, 'in_strides': [16, 16], **SIZES, **options}
    return PMTHead(options.pop('in_channels', [8, 8]), **options)


def draw(batch=2, prefix=3):
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.randn(*shape, generator=generator)

    maps = tuple(random(batch, 8, 4, 6) for _ in range(2))
    tokens = None if prefix is None else tuple(random(batch, prefix, 8) for _ in range(2))
    return Features(maps, prefix=tokens)


def labels(batch=2):
    found = torch.zeros(batch, 64, 96, dtype=torch.long)
    found[:, :32] = 2
    return found


def segmentor(encoder='dinov2_registers', peft='Frozen', head=HEAD, **backbone):
    torch.manual_seed(0)
    encoder = dict(ENCODERS[encoder]) if isinstance(encoder, str) else encoder
    peft = dict(type=peft) if isinstance(peft, str) else peft
    backbone = dict(type='PEFTBackbone', encoder=encoder, peft=peft, **backbone)
    return MODELS.build(
        dict(type='PEFTSegmentor', backbone=backbone, decode_head=head, num_classes=CLASSES)
    )


def step(model, batch=2):
    """Returns losses of a batch after a backward pass."""
    torch.manual_seed(1)
    images = torch.randn(batch, 3, 32, 64)
    losses = model.decode_head.loss(model.extract_feat(images), labels(batch)[:, :32, :64])
    sum(losses.values()).backward()
    return losses


def test_training_predicts_in_front_of_each_block_and_tests_once():
    head, features = build(), draw()
    assert head(features)[1].shape == (3, 2, 5, 16, 24)
    head.attn_mask_probs.zero_()
    assert len(head(features)[0]) == 3
    assert len(head.eval()(features)[0]) == 1
    head.attn_mask_probs[1] = 0.5
    assert len(head(features)[0]) == 2
    assert len(build(masked_attention=False)(features)[0]) == 1


def test_a_level_adds_its_projection_to_itself_times_its_scaler():
    head, features = build(lateral_projection='identity').eval(), draw()
    head.scalers[1].data.fill_(3.0)
    tokens = [
        torch.cat((p, m.flatten(2).transpose(1, 2)), 1)
        for m, p in zip(features.maps, features.prefix, strict=True)
    ]
    fused, grid = head.fuse(features)
    assert grid == (4, 6)
    shrunk = (1 + 1e-5) ** -0.5  # batch norm before training
    torch.testing.assert_close(fused, (2 * tokens[0] + 6 * tokens[1]) * shrunk)
    head.residual = False
    torch.testing.assert_close(head.fuse(features)[0], fused / 2)


def test_prefix_tokens_change_the_prediction_and_are_not_read_out():
    head, features = build().eval(), draw()
    with torch.no_grad():
        with_prefix, without = (head(x)[1][-1] for x in (features, replace(features, prefix=None)))
        empty = head(draw(prefix=0))[1][-1]
    assert with_prefix.shape == without.shape == empty.shape
    assert not torch.allclose(with_prefix, without)


def test_maps_of_the_index_and_their_prefix_are_read():
    features, head = draw(), build(in_channels=[8], in_strides=[16], in_index=[1]).eval()
    with torch.no_grad():
        expected = head(features)[1]
        alone = replace(features, maps=(features.maps[0] * 0, features.maps[1]))
        assert torch.equal(head(alone)[1], expected)
        changed = replace(features, prefix=(features.prefix[0], features.prefix[1] + 1))
        assert not torch.equal(head(changed)[1], expected)


@pytest.mark.parametrize('batch', [1, 3])
def test_batch_norm_takes_statistics_of_all_images_and_tokens(batch):
    head, features = build(), draw(batch)
    head(features)
    tokens = torch.cat((features.prefix[0], features.maps[0].flatten(2).transpose(1, 2)), 1)
    mean, variance = tokens.mean((0, 1)), tokens.flatten(0, 1).var(0)
    torch.testing.assert_close(head.bn[0].running_mean, 0.1 * mean)
    torch.testing.assert_close(head.bn[0].running_var, 0.9 + 0.1 * variance)


def test_synchronised_batch_norms_take_the_same_place():
    head = nn.SyncBatchNorm.convert_sync_batchnorm(build())
    assert all(isinstance(norm, nn.SyncBatchNorm) for norm in head.bn)
    plain = build()
    for each in (head, plain):
        torch.manual_seed(2)
        each(draw())
    torch.testing.assert_close(head.state_dict(), plain.state_dict())


def test_statistics_are_among_what_a_run_keeps():
    model = segmentor()
    step(model)
    state = model.state_dict()
    assert state['decode_head.bn.0.running_mean'].abs().max() > 0
    assert state['decode_head.bn.1.num_batches_tracked'] == 1
    assert 'decode_head.attn_mask_probs' in state
    twin = segmentor()
    twin.load_state_dict(state, strict=True)
    image = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        found, expected = (m.eval().encode_decode(image) for m in (twin, model))
    assert torch.equal(found, expected)


def test_coordinates_are_scaled_in_training_alone_and_not_for_rotary_encoders():
    def spread(head):
        torch.manual_seed(0)
        return float((head(draw())[1][-1] - head(draw())[1][-1]).detach().abs().max())

    options = dict(masked_attention=False, lateral_bn=False)
    assert spread(build(**options)) > 1e-4
    assert spread(build(**options).eval()) == 0
    assert spread(build(**options, encoder_rotary=True)) == 0
    assert spread(build(**options, encoder_rotary=True, rescale_coords=2.0)) > 1e-4
    assert spread(build(**options, rescale_coords=1.0)) == 0


def test_facts_of_the_encoder():
    for name, heads, scale in (('dinov3', 2, 1.0), ('dinov2_registers', 2, 2.0), ('swin', 1, 2.0)):
        head = segmentor(name).decode_head
        assert head.blocks[0].attention.num_heads == heads
        assert head.rescale_coords == scale
    assert build(in_channels=[384] * 2).blocks[0].attention.num_heads == 6
    assert build(in_channels=[440] * 2).blocks[0].attention.num_heads == 5
    wide = build(in_channels=[24] * 2, encoder_heads=12)  # heads of two channels do not turn
    assert wide.blocks[0].attention.num_heads == 1


def test_the_encoder_norms_its_maps_unless_the_config_says_no():
    normed = segmentor()
    assert normed.backbone.anatomy.norms_maps
    features = normed.extract_feat(torch.randn(1, 3, 32, 64))
    assert [tuple(x.shape) for x in features.prefix] == [(1, 3, 16)] * 2
    raw = segmentor({**ENCODERS['dinov2_registers'], 'final_norm': False})
    assert not raw.backbone.anatomy.norms_maps
    without = segmentor('pe_spatial')  # a model of timm without a norm at its end
    assert not without.backbone.anatomy.norms_maps
    with pytest.raises(UserError, match='final_norm=True keeps the norm .* has none'):
        segmentor({**ENCODERS['pe_spatial'], 'final_norm': True})
    assert segmentor('sam').extract_feat(torch.randn(1, 3, 32, 64)).prefix is None


def test_no_graph_reaches_a_frozen_encoder_and_a_method_trains_through_the_levels():
    features = segmentor().extract_feat(torch.randn(1, 3, 32, 64))
    assert not any(x.requires_grad for x in (*features.maps, *features.prefix))
    model = segmentor(peft=dict(type='LoRA', rank=2))
    step(model)
    gradients = [p.grad for p in model.backbone.peft.parameters() if p.requires_grad]
    assert gradients
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert any(g.any() for g in gradients)


def test_blocks_computed_again_give_the_same_gradients():
    def gradients(**options):
        model = segmentor(peft=dict(type='LoRA', rank=2), **options)
        losses = step(model)
        found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        return losses, found

    plain, expected = gradients()
    losses, found = gradients(activation_checkpointing=True)
    assert losses == plain
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('name', ['swin', 'convnext', 'efficientnet', 'resnet', 'sam', 'ddrnet'])
def test_encoders_with_stages_or_without_prefix(name):
    model = segmentor(name)
    losses = step(model)
    assert all(value.isfinite() for value in losses.values())
    assert all(p.grad is not None for p in model.decode_head.parameters())
    with torch.no_grad():
        assert model.eval().encode_decode(torch.randn(1, 3, 32, 64)).shape == (1, CLASSES, 32, 64)


def test_queries_of_the_method_of_the_same_width_take_the_place_of_its_own():
    model = segmentor(peft=dict(type='Rein', num_tokens=5, rank=2, query_dims=16))
    assert not hasattr(model.decode_head, 'q')
    step(model)
    with pytest.raises(UserError, match='width 8.*query_dims=16'):
        segmentor(peft=dict(type='Rein', num_tokens=5, rank=2, query_dims=8))


def test_a_copy_has_its_own_statistics():
    head = build()
    twin = copy.deepcopy(head)
    head(draw())
    assert head.bn[0].running_mean.any()
    assert not twin.bn[0].running_mean.any()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_heads=3), r'num_heads=3: expected heads of 4, 8, 12, \.\.\. channels, and 8'),
        (dict(in_channels=[6, 6]), 'maps of 6 channels, expected a multiple of 4'),
        (dict(num_blocks=0), 'num_blocks=0: expected a whole number, at least 1'),
        (dict(feedforward_channels=0), 'feedforward_channels=0: expected a whole number'),
        (dict(lateral_projection='conv'), "='conv': expected mlp or linear or identity"),
        (dict(rescale_coords=0.5), 'rescale_coords=0.5: expected a number, at least 1'),
        (dict(num_classes=1), 'num_classes=1, expected 2 to 254'),
        (dict(in_strides=None), 'a neck stands in front'),
        (dict(in_index=1), 'reads several maps'),
    ],
)
def test_bad_arguments_are_one_line(options, message):
    with pytest.raises(UserError, match=message) as caught:
        build(**options)
    assert '\n' not in str(caught.value)


def test_behind_a_neck_it_says_so():
    inputs = HeadInputs((8, 8), None, CLASSES)
    with pytest.raises(UserError, match=r'leave model\.neck out'):
        build_head(HEAD, inputs)
