"""SETR's heads: sizes, numbers of parameters, what they refuse, mmsegmentation's forms."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmseg.models.decode_heads import SETRMLAHead, SETRUPHead
from mmseg.models.necks import MLANeck

from rein_seg.apis import load_config
from rein_seg.errors import UserError
from rein_seg.export.count import build_shapes
from rein_seg.heads import SETRHead
from rein_seg.heads.contract import HeadInputs
from rein_seg.heads.setr.weights import convert_head
from rein_seg.models.base import count_parameters
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features
from tests.paths import REPO

BN = dict(type='BN')
VIT_L = HeadInputs((1024,) * 4, (16,) * 4, 19)
TINY = HeadInputs((8,) * 4, (16,) * 4, 3)


def build(inputs=TINY, **options):
    torch.manual_seed(0)
    return build_head(dict(type='SETRHead', **options), inputs)


def small(variant, **options):
    width = dict(channels=8, head_channels=4) if variant == 'mla' else dict(hidden=4)
    return build(variant=variant, decoder={**width, **options})


def draw(batch=2, height=4, width=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    maps = (torch.randn(batch, 8, height, width, generator=generator) for _ in range(4))
    return Features(tuple(maps))


def perturb(module):
    """Running statistics and norms of a trained module, not of a new one."""
    generator = torch.Generator().manual_seed(2)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            noise = torch.rand(tensor.shape, generator=generator)
            tensor.add_(0.1 * noise if 'weight' in name else noise)
    return module.eval()


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ('variant', 'millions'), [('naive', 0.270), ('pup', 4.139), ('pup_aux', 2.367)]
)
def test_up_heads_have_the_official_number_of_parameters(variant, millions):
    with torch.device('meta'):
        head = build(VIT_L, variant=variant)
    assert round(count(head) / 1e6, 3) == millions


def test_mla_has_the_official_number_of_parameters():
    with torch.device('meta'):
        decoder = build(VIT_L, variant='mla').decoder
    # officially the neck without its layer norms
    parts = ([decoder.mla], [decoder.mlahead, decoder.cls], decoder.auxiliary_head[:1])
    assert [round(sum(map(count, part)) / 1e6, 3) for part in parts] == [3.412, 1.859, 0.005]


@pytest.mark.parametrize(
    ('variant', 'factor'),
    [('naive', 1), ('pup', 8), ('pup_aux', 4), ('mla', 4), ('wide_aux', 1)],
)
def test_logits_have_their_size_and_predictions_the_image_s(variant, factor):
    head, features = small(variant).eval(), draw()
    assert head(features).shape == (2, 3, 4 * factor, 6 * factor)
    assert head.predict(features, (50, 70)).shape == (2, 3, 50, 70)
    assert not [name for name in head.state_dict() if 'conv_seg' in name]


def test_a_head_reads_the_last_map_or_the_one_it_is_told():
    maps = draw().maps
    for options, index in ((dict(), 3), (dict(in_index=1), 1), (dict(in_index=[0, 2]), 2)):
        head = build(variant='pup', decoder=dict(hidden=4), **options).eval()
        alone = Features(
            tuple(x if i == index else torch.zeros_like(x) for i, x in enumerate(maps))
        )
        assert torch.equal(head(Features(maps)), head(alone))


def test_naive_resizes_once_and_as_mmsegmentation_by_four_twice():
    once, twice = small('naive').eval(), small('naive', up_scales=(4,)).eval()
    twice.load_state_dict(once.state_dict())
    features = draw()
    logits = once(features)
    bilinear = dict(mode='bilinear', align_corners=False)
    expected = F.interpolate(logits, size=(64, 96), **bilinear)
    torch.testing.assert_close(once.predict(features, (64, 96)), expected)
    larger = F.interpolate(logits, scale_factor=4, **bilinear)
    expected = F.interpolate(larger, size=(64, 96), **bilinear)
    found = twice.predict(features, (64, 96))
    torch.testing.assert_close(found, expected)  # a 1x1 convolution commutes with the resize
    assert (found - once.predict(features, (64, 96))).abs().max() > 0.01


def test_norms_are_set_at_the_head_or_at_its_decoder():
    norm = dict(type='GN', num_groups=2)
    for options in (dict(norm_cfg=norm), dict(decoder=dict(norm_cfg=norm, hidden=4))):
        head = build(variant='naive', **options)
        assert isinstance(head.decoder.syncbn_fc_0, torch.nn.GroupNorm)


def test_norm_maps_off_leaves_out_the_norm():
    head = small('naive', norm_maps=False).eval()
    assert not [name for name in head.state_dict() if '.norm.' in name]
    features = draw()
    scaled = Features(tuple(2 * x for x in features.maps))
    assert not torch.allclose(head(features), head(scaled), atol=1e-3)
    normed = small('naive').eval()
    torch.testing.assert_close(normed(features), normed(scaled), rtol=1e-3, atol=1e-4)


def test_losses_of_mla_s_auxiliary_classifiers_are_weighted():
    head, labels = small('mla'), torch.zeros(2, 64, 96, dtype=torch.long)
    features = draw()
    losses = head.loss(features, labels)
    names = {f'aux_{i}.{key}' for i in range(4) for key in ('loss_ce', 'acc_seg')}
    assert set(losses) == names | {'loss_ce', 'acc_seg'}
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    other = copy.deepcopy(head)
    other.aux_weight = 1.0
    again = other.loss(features, labels)
    torch.testing.assert_close(losses['aux_2.loss_ce'], 0.4 * again['aux_2.loss_ce'])
    assert 'aux_0.loss_ce' not in small('mla', auxiliary=False).loss(features, labels)


def test_the_levels_of_mla_are_added_from_the_last_to_the_first():
    head, maps = small('mla').eval(), list(draw().maps)
    before = head.decoder.pyramid(maps)
    maps[2] = maps[2] + torch.randn_like(maps[2])
    after = head.decoder.pyramid(maps)
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [
        False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(variant='nave'), "variant='nave'.*naive"),
        (dict(variant='mla', decoder=dict(hidden=3)), "SETRHead.decoder takes no 'hidden'"),
        (dict(variant='pup', decoder=dict(up_scales=(2, 0))), 'up_scales=.* a factor of 1 or more'),
        (dict(variant='pup', decoder=dict(up_scales=4)), r'up_scales=4, .* such as \(2, 2, 2, 1\)'),
        (dict(variant='naive', decoder=dict(kernel_size=5)), 'kernel_size=5, expected 1 or 3'),
        (dict(variant='mla', decoder=dict(form='x')), "form='x', expected one of"),
        (dict(dropout_ratio=0.1), 'dropout_ratio would have no effect: leave it out'),
        (dict(channels=8), r'channels would have no effect.*decoder=dict\(hidden=128\)'),
        (dict(variant='wide_aux', norm_cfg=BN), "takes no 'norm_cfg'"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_mla_refuses_maps_of_several_sizes():
    with pytest.raises(UserError, match=r"strides \[4, 8, 16, 32\].*variant='pup'"):
        build(HeadInputs((8,) * 4, (4, 8, 16, 32), 3), variant='mla')
    # behind a neck strides are unknown
    head = build(HeadInputs((8,) * 2, None, 3), variant='mla', decoder=dict(channels=4))
    with pytest.raises(UserError, match=r'sizes are \[\(4, 6\), \(2, 3\)\]: expected one size'):
        head(Features((torch.zeros(1, 8, 4, 6), torch.zeros(1, 8, 2, 3))))


@pytest.mark.parametrize(
    ('variant', 'sizes'),
    [
        ('naive', dict(num_convs=1, kernel_size=1, up_scale=4)),
        ('pup', dict(num_convs=4, kernel_size=3, up_scale=2)),
        ('pup_aux', dict(num_convs=1, kernel_size=3, up_scale=4)),
    ],
)
@torch.no_grad()
def test_up_heads_equal_mmsegmentation_s_from_its_files(variant, sizes):
    norm = dict(type='LN', eps=1e-6)
    common = dict(in_channels=8, channels=4, in_index=3, num_classes=3, norm_cfg=BN)
    theirs = perturb(SETRUPHead(norm_layer=norm, **common, **sizes))
    options = dict(up_scales=(4,)) if variant == 'naive' else {}
    head = small(variant, **options).eval()
    file = {f'decode_head.{k}': v for k, v in theirs.state_dict().items()}
    converted = convert_head(head.decoder, file, 'decode_head')
    head.decoder.load_state_dict(converted.tensors)
    biases = {name for name in converted.filled if name.endswith('.bias')}
    assert biases == {f'conv_{i}.bias' for i in range(sizes['num_convs'])}
    features, metas = draw(), [dict(img_shape=torch.Size((64, 96)))] * 2
    expected = theirs.predict_by_feat(theirs(features.maps), metas)
    torch.testing.assert_close(head.predict(features, (64, 96)), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_official_pup_equals_mmsegmentation_s_with_biases_in_the_running_means():
    """The same the other way round: its convolutions have no bias for ours."""
    head = perturb(small('pup'))
    sizes = dict(num_convs=4, kernel_size=3, up_scale=2, in_channels=8, channels=4, num_classes=3)
    theirs = SETRUPHead(norm_layer=dict(type='LN', eps=1e-6), in_index=3, norm_cfg=BN, **sizes)
    own = head.decoder.state_dict()
    for i, block in enumerate(theirs.eval().up_convs):
        block[0].conv.weight.copy_(own[f'conv_{i}.weight'])
        norm = {k: own[f'syncbn_fc_{i}.{k}'] for k in block[0].bn.state_dict()}
        norm['running_mean'] = norm['running_mean'] - own[f'conv_{i}.bias']
        block[0].bn.load_state_dict(norm)
    theirs.norm.load_state_dict(head.decoder.norm.state_dict())
    theirs.conv_seg.load_state_dict(head.decoder.conv_4.state_dict())
    features = draw()
    expected = theirs.predict_by_feat(theirs(features.maps), [dict(img_shape=torch.Size((64, 96)))])
    torch.testing.assert_close(head.predict(features, (64, 96)), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_mla_equals_mmsegmentation_s_from_its_files():
    sizes = dict(out_channels=8, norm_cfg=BN, act_cfg=dict(type='ReLU'))
    neck = perturb(MLANeck([8] * 4, **sizes))
    common = dict(in_channels=(8,) * 4, in_index=(0, 1, 2, 3), num_classes=3, norm_cfg=BN)
    theirs = perturb(SETRMLAHead(mla_channels=4, channels=16, **common))
    file = {f'neck.{k}': v for k, v in neck.state_dict().items()}
    file |= {f'decode_head.{k}': v for k, v in theirs.state_dict().items()}
    file['auxiliary_head.0.conv_seg.bias'] = torch.zeros(3)
    head = small('mla', form='mmseg').eval()
    converted = convert_head(head.decoder, file, 'decode_head')
    head.decoder.load_state_dict(converted.tensors)
    assert converted.left_out == ('auxiliary_head.0.conv_seg.bias',)
    assert converted.filled == tuple(f'auxiliary_head.{i}.aux.weight' for i in range(4))
    features, metas = draw(), [dict(img_shape=torch.Size((64, 96)))] * 2
    expected = theirs.predict_by_feat(theirs(neck(features.maps)), metas)
    torch.testing.assert_close(head.predict(features, (64, 96)), expected, rtol=1e-4, atol=1e-5)


def official(variant, part='decode_head'):
    head = perturb(small(variant))
    file = {}
    for name, tensor in head.decoder.state_dict().items():
        if name.startswith(('norm_', 'mla.')):
            file[f'backbone.{name}'] = tensor
        else:
            file[name if name.startswith('auxiliary_head') else f'{part}.{name}'] = tensor
    file[f'{part}.conv_seg.weight'] = torch.zeros(3, 8, 1, 1)
    return head, {**file, 'backbone.cls_token': torch.zeros(1, 1, 8)}


@pytest.mark.parametrize('variant', ['naive', 'pup', 'pup_aux', 'mla', 'wide_aux'])
@torch.no_grad()
def test_official_files_load_strictly(variant, tmp_path):
    part = 'auxiliary_head.1' if variant.endswith('aux') else 'decode_head'
    head, file = official(variant, part)
    path = str(tmp_path / 'setr.pth')
    torch.save({'state_dict': file}, path)
    where = dict(checkpoint=path, checkpoint_part=part)
    width = dict(channels=8, head_channels=4) if variant == 'mla' else dict(hidden=4)
    other = build(variant=variant, decoder=width, **where).eval()
    assert torch.equal(other(draw()), head(draw()))
    lost = next(name for name in file if name.startswith(part) and 'conv_seg' not in name)
    torch.save({'state_dict': {k: v for k, v in file.items() if k != lost}}, path)
    with pytest.raises(UserError, match='Missing'):
        build(variant=variant, decoder=width, **where)


def test_files_of_another_variant_are_named():
    _, file = official('naive')
    with pytest.raises(UserError, match='of 1 convolution and a classifier, the head is MLA'):
        convert_head(small('mla').decoder, file, 'decode_head')
    with pytest.raises(UserError, match='of 1 convolution and .* an upsampling head of 4 convolut'):
        convert_head(small('pup').decoder, file, 'decode_head')
    pup = dict(num_convs=4, kernel_size=3, up_scale=2, in_channels=8, channels=4, num_classes=3)
    theirs = SETRUPHead(norm_layer=dict(type='LN'), in_index=3, norm_cfg=BN, **pup).state_dict()
    theirs = {f'decode_head.{name}': tensor for name, tensor in theirs.items()}
    with pytest.raises(
        UserError, match='of 4 convolutions and .* an upsampling head of 1 convolut'
    ):
        convert_head(small('naive').decoder, theirs, 'decode_head')
    with pytest.raises(UserError, match="has no 'auxiliary_head.0'"):
        convert_head(small('pup_aux').decoder, file, 'auxiliary_head.0')
    _, file = official('mla')
    with pytest.raises(UserError, match='holds MLA, the head is wide_aux'):
        convert_head(small('wide_aux').decoder, file, 'decode_head')


def test_the_class_itself_names_the_variants():
    with pytest.raises(UserError, match='pup'):
        SETRHead([8], in_index=[0], num_classes=3, variant='puq')


@pytest.mark.parametrize(
    ('name', 'millions', 'heads'), [('naive', 306.6, 4), ('pup', 319.1, 5), ('mla', 310.8, 5)]
)
def test_whole_models_have_the_published_number_of_parameters(name, millions, heads):
    """Officially each head has a 1x1 convolution from 512 to 19 channels that nothing uses."""
    cfg = load_config(str(REPO / f'configs/full_setr_{name}_cityscapes.py'))
    counts = count_parameters(build_shapes(cfg))
    assert counts['frozen'] == 0
    assert round((counts['trainable'] + heads * (512 * 19 + 19)) / 1e6, 1) == millions
