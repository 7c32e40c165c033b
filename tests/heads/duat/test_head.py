"""DuAT's decoder as a head: sizes, files, losses, any four maps, bad input."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg.errors import UserError
from rein_seg.heads import DuATHead, StructureLoss
from rein_seg.heads.contract import HeadInputs
from rein_seg.heads.duat import GLSA, convert_duat
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features
from tests.encoders.tiny import FOUR_MAPS
from tests.models.tiny import build as segmentor

CHANNELS = (8, 12, 16, 20)
PVT = (64, 128, 320, 512)
OFFICIAL, UNUSED = 118_409, 17_382


def head(num_classes=2, **options):
    torch.manual_seed(0)
    return DuATHead(list(CHANNELS), num_classes=num_classes, **{'channels': 8, **options})


def features(batch=2, height=16, width=24):
    torch.manual_seed(1)
    sides = [(-(-height // 2**i), -(-width // 2**i)) for i in range(4)]
    return Features(tuple(torch.randn(batch, c, *s) for c, s in zip(CHANNELS, sides, strict=True)))


def never_used(width, channels):
    """The layers of a GLSA that the official code never calls, by name."""
    return {
        'conv1_1_1.conv.weight': torch.zeros(width, channels // 2, 1, 1),
        **{f'conv1_1_1.bn.{n}': torch.zeros(width) for n in ('weight', 'bias')},
        'local.ca.fc1.weight': torch.zeros(4, 64, 1, 1),
        'local.ca.fc2.weight': torch.zeros(64, 4, 1, 1),
        'local.sa.conv1.weight': torch.zeros(1, 2, 7, 7),
    }


def official_file(module, path):
    """A whole official file: encoder, decoder, and what it never uses."""
    width = module.fuse.bn.num_features
    unused = {
        f'GLSA_c{i}.{name}': tensor
        for i, channels in enumerate(CHANNELS[1:], start=2)
        for name, tensor in never_used(width, channels).items()
    }
    encoder = {'backbone.norm1.weight': torch.ones(4)}
    torch.save({**encoder, **module.state_dict(), **unused}, path)
    return encoder, unused


def test_parameters_are_the_official_ones_but_the_unused():
    found = sum(p.numel() for p in DuATHead(list(PVT), num_classes=2).parameters())
    unused = sum(tensor.numel() for c in PVT[1:] for tensor in never_used(32, c).values())
    assert (found + unused, unused) == (OFFICIAL, UNUSED)


def test_an_official_file_starts_the_decoder(tmp_path):
    trained = head()
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.normal_()
    official_file(trained, tmp_path / 'duat.pth')
    loaded = head(checkpoint=str(tmp_path / 'duat.pth'))
    assert all(
        torch.equal(a, b)
        for a, b in zip(loaded.state_dict().values(), trained.state_dict().values(), strict=True)
    )


def test_everything_left_out_of_a_file_is_named(tmp_path):
    encoder, unused = official_file(head(), tmp_path / 'duat.pth')
    state = torch.load(tmp_path / 'duat.pth', weights_only=True)
    converted = convert_duat({f'module.{name}': tensor for name, tensor in state.items()})
    assert set(converted.left_out) == {*encoder, *unused}
    assert converted.tensors.keys() == head().state_dict().keys()


@pytest.mark.parametrize('options', [dict(channels=16), dict(num_classes=3)])
def test_a_file_of_other_sizes_is_refused(tmp_path, options):
    official_file(head(), tmp_path / 'duat.pth')
    with pytest.raises(UserError, match=r"DuAT's decoder"):
        head(checkpoint=str(tmp_path / 'duat.pth'), **options)


def test_a_file_without_the_decoder_is_refused(tmp_path):
    torch.save({'patch_embed1.proj.weight': torch.zeros(1)}, tmp_path / 'pvt.pth')
    with pytest.raises(UserError, match='holds no decoder of DuAT: of its 1 tensors none'):
        head(checkpoint=str(tmp_path / 'pvt.pth'))


def test_a_prediction_is_the_sum_of_both_in_the_size_of_the_image():
    module, maps = head().eval(), features(height=17, width=23)
    p1, p2 = module(maps)
    assert (p1.shape[2:], p2.shape[2:]) == ((9, 12), (17, 23))
    size = (67, 91)  # sides that are no multiples of 32
    parts = [F.interpolate(p, size=size, mode='bilinear', align_corners=False) for p in (p1, p2)]
    torch.testing.assert_close(module.predict(maps, size), parts[0] + parts[1])


def test_each_prediction_has_the_structure_loss_of_the_paper():
    module, maps = head().eval(), features()
    labels = torch.zeros(2, 64, 96, dtype=torch.long)
    labels[:, 10:40, 20:60] = 1
    labels[0, :5] = 255
    losses = module.loss(maps, labels)
    loss = StructureLoss(bce='weighted')
    for name, predicted in zip(('p1', 'p2'), module(maps), strict=True):
        logits = F.interpolate(predicted, size=(64, 96), mode='bilinear', align_corners=False)
        torch.testing.assert_close(losses[f'{name}.loss_structure'], loss(logits, labels))
    assert len(losses) == 2


def test_several_classes_have_the_cross_entropy():
    module, maps = head(num_classes=5).eval(), features()
    labels = torch.randint(0, 5, (2, 64, 96))
    labels[:, :9] = 255
    losses = module.loss(maps, labels)
    for name, predicted in zip(('p1', 'p2'), module(maps), strict=True):
        logits = F.interpolate(predicted, size=(64, 96), mode='bilinear', align_corners=False)
        expected = F.cross_entropy(logits, labels, ignore_index=255)
        torch.testing.assert_close(losses[f'{name}.loss_ce'], expected)
    assert module.predict(maps, (64, 96)).shape == (2, 5, 64, 96)


def test_an_empty_mask_has_a_finite_loss_that_pushes_down():
    module, maps = head(), features()
    losses = module.loss(maps, torch.zeros(2, 64, 96, dtype=torch.long))
    predicted = module.predict(maps, (64, 96))
    gradient = torch.autograd.grad(sum(losses.values()), module.fuse2[1].weight)[0]
    assert all(value.isfinite() and value > 0 for value in losses.values())
    assert gradient.isfinite().all()
    assert predicted.isfinite().all()


def test_soft_masks_train():
    module, maps = head(), features()
    hard = (torch.rand(2, 64, 96) > 0.5).long()
    torch.testing.assert_close(module.loss(maps, hard), module.loss(maps, hard.float()))
    soft = torch.full((2, 64, 96), 0.5)
    assert all(value.isfinite() for value in module.loss(maps, soft).values())


def test_the_global_branch_starts_without_a_choice_of_channels():
    block = GLSA(8, 4)
    v = torch.randn(1, 4, 5, 6)
    torch.testing.assert_close(block.GlobelBlock(v), 1.5 * v)  # the sigmoid of 0 is a half


def test_the_local_mask_lies_between_a_half_and_one():
    block, u = GLSA(8, 4).local, torch.randn(2, 4, 5, 6)
    ratio = block(u) / u
    assert 1.5 - 1e-4 <= ratio.min() < 1.5 + 1e-4  # the mask is a half where its ReLU is 0
    assert 1.51 < ratio.max() < 2


@pytest.mark.parametrize('family', ['vit', 'dinov2', 'sam', 'swin', 'convnext', 'pvt'])
def test_every_encoder_with_four_maps_takes_it(family):
    options = dict(num_classes=2)
    if family in ('vit', 'dinov2', 'sam'):
        options['neck'] = dict(type='TokenPyramid')
    model = segmentor(
        head=dict(type='DuATHead', channels=8),
        peft=dict(type='Frozen'),
        backbone=dict(type='PEFTBackbone', encoder=FOUR_MAPS[family], peft=dict(type='Frozen')),
        **options,
    ).eval()
    logits = model.encode_decode(torch.randn(1, 3, 64, 96))
    assert logits.shape == (1, 1, 64, 96)
    assert isinstance(model.decode_head, DuATHead)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(channels=7), '7 is odd: give the maps an even width'),
        (dict(out_channels=3), 'out_channels=3 with num_classes=2; expected num_classes, or 1'),
        (dict(num_classes=4, out_channels=1), 'out_channels=1 with num_classes=4'),
        (dict(threshold=1.0), r'threshold=1.0, expected a probability'),
        (dict(loss_decode=dict(type='CrossEntropyLoss')), 'softmax is 1 everywhere'),
        (
            dict(num_classes=3, loss_decode=dict(type='StructureLoss')),
            '3 output channels here, and StructureLoss is of one foreground class',
        ),
    ],
)
def test_bad_arguments_are_said(options, message):
    with pytest.raises(UserError, match=message):
        head(**options)


@pytest.mark.parametrize('number', [1, 3])
def test_other_numbers_of_maps_are_refused(number):
    inputs = HeadInputs(CHANNELS[:number], (4, 8, 16)[:number], 2)
    with pytest.raises(UserError, match=f'reads four maps, fine to coarse, and got {number}.*neck'):
        build_head(dict(type='DuATHead'), inputs)


def test_a_single_position_cannot_train_a_batch_norm():
    maps = features(batch=1, height=8, width=8)
    with pytest.raises(UserError, match='maps down to 1x1, of 1 image.* two images in a batch'):
        head()(maps)
    assert head().eval().predict(maps, (32, 32)).isfinite().all()
    assert head()(features(batch=2, height=8, width=8))[0].isfinite().all()


def test_labels_of_another_class_count_are_refused():
    labels = torch.full((2, 64, 96), 2)
    with pytest.raises(UserError, match='labels go up to 2, expected classes 0 to 1 and 255'):
        head().loss(features(), labels)


def test_it_is_a_part_of_no_other_stream():
    """The official names, which a file of ours keeps."""
    names = {name.split('.')[0] for name in head().state_dict()}
    assert names == {'GLSA_c2', 'GLSA_c3', 'GLSA_c4', 'L_feature', 'SBA', 'fuse', 'fuse2'}
    assert isinstance(head().GLSA_c2.local.conv5[2], nn.SiLU)
