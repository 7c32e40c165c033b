"""Tests of FRPT: the sampler, its place in the backbone, its arguments."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.peft import FRPT
from rein_seg.peft.parts.image_sampler import ImageSampler
from rein_seg.structures import Features
from tests.peft.build import backbone, image, move


def ramp(height=40, width=60):
    """A smooth image whose red is x and whose green is y, 0 to 1."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing='ij')
    return torch.stack((x, y, x * 0))[None]


def sampler(**options):
    torch.manual_seed(0)
    options = dict(kernel_size=1, grid_size=13, padding=12, width=4.0) | options
    return ImageSampler(2, **options)


def test_equal_attention_leaves_the_inside_of_an_image_as_it_is():
    moved = sampler()(torch.ones(1, 2, 6, 6), ramp())
    # half a step of the coarse grid at the border has no place of its own
    assert torch.allclose(moved[:, :, 4:-4, 6:-6], ramp()[:, :, 4:-4, 6:-6], atol=0.03)


def test_the_attended_place_is_enlarged():
    method = sampler()
    torch.nn.init.constant_(method.conv_last.weight, 3.0)
    features = torch.zeros(1, 2, 5, 5)
    features[:, :, 1, 3] = 1.0  # right of the centre, above it
    moved = method(features, ramp())[0]
    near = ((moved[0] - 0.75).abs() < 0.1) & ((moved[1] - 0.25).abs() < 0.1)
    assert near.sum() > 2 * 0.04 * near.numel()  # of an unchanged image 4 % of the pixels
    assert method.attention(features).sum().item() == pytest.approx(1)


def test_the_filter_of_a_learned_width_stays_positive():
    method = sampler(trains='width')
    assert method.filter(torch.zeros(()))[0, 0, 12, 14].item() == pytest.approx(0.5)  # width 4
    with torch.no_grad():
        method.filter.log_scale.fill_(-5.0)
    kernel = method.filter(torch.zeros(()))
    assert kernel.min() >= 0 and kernel[0, 0, 12, 12] == 1 and kernel[0, 0, 12, 13] < 1e-6


def test_parameters_of_the_published_form():
    """31 x 31 weights of 256 channels; the paper's total of 2.86 M is not reached by its parts."""
    encoder = dict(type='mmpretrain.ResNet', depth=50, out_indices=[0, 1, 2, 3], init_seed=0)
    built = MODELS.build(dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='FRPT')))
    assert sum(p.numel() for _, p in built.peft.trainable_parameters()) == 246_016
    official = dict(type='FRPT', form='repository', official=True)
    built = MODELS.build(dict(type='PEFTBackbone', encoder=encoder, peft=official))
    shapes = {name: tuple(p.shape) for name, p in built.peft.named_parameters()}
    assert shapes == {
        'sample.conv_last.weight': (1, 1024, 1, 1),
        'sample.filter.weight': (1, 1, 61, 61),
    }


@pytest.mark.parametrize('family', ['vit', 'resnet', 'swin'])
def test_the_encoder_sees_the_resampled_image(family):
    built = move(backbone(family, type='FRPT', kernel_size=1, grid_size=7, padding=6)).eval()
    picture = image(side=64)
    found = built(picture)
    moved = built.peft.sample(found.first.maps[0], picture)
    assert torch.equal(found.maps[-1], built.encoder(moved)[-1])
    assert torch.equal(found.first.maps[-1], built.encoder(picture)[-1])
    assert not torch.allclose(moved, picture, atol=0.1)


@pytest.mark.parametrize(
    ('options', 'index'),
    [({}, 0), (dict(form='repository'), 1), (dict(stage=-1), 2), (dict(stage=1), 1)],
)
def test_the_map_of_the_attention(options, index):
    built = backbone('vit', type='FRPT', **options)
    maps = [torch.zeros(1, 32, 4, 4) for _ in range(3)]
    maps[index] = torch.randn(1, 32, 4, 4) * 50
    picture = image()
    still = built.peft.prepare(picture, Features(maps=tuple(x * 0 for x in maps)))
    moved = built.peft.prepare(picture, Features(maps=tuple(maps)))
    assert not torch.allclose(moved, still, atol=1e-3)


def test_zero_init_attends_to_all_places_alike():
    built = backbone('vit', type='FRPT', zero_init=True)
    attention = built.peft.sample.attention(torch.randn(1, 32, 4, 4))
    assert torch.allclose(attention, torch.full_like(attention, 1 / 31**2))


def test_positions_have_all_digits_under_autocast():
    built = move(backbone('vit', type='FRPT', kernel_size=1), std=0.02).eval()
    first = Features(maps=(torch.randn(1, 32, 4, 4),))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        rough = built.peft.prepare(image(), first)
    assert torch.equal(rough, built.peft.prepare(image(), first))


def test_compiled_it_gives_the_same_output():
    built = move(backbone('vit', type='FRPT', kernel_size=3), std=0.02).eval()
    with torch.no_grad():
        expected = built(image())
        compiled = torch.compile(built, backend='aot_eager', dynamic=False)
        torch.testing.assert_close(compiled(image()).maps, expected.maps, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(form='other'), 'expected paper or repository'),
        (dict(kernel_size=4), 'odd'),
        (dict(grid_size=1), 'at least 2'),
        (dict(padding=0), 'at least 1'),
        (dict(width=0.0), 'above 0'),
        (dict(official=True), "expected form='repository'"),
    ],
)
def test_bad_arguments(options, words):
    with pytest.raises(UserError, match=words):
        FRPT(**options)


@pytest.mark.parametrize('stage', [3, -4])
def test_a_map_that_is_not_there(stage):
    with pytest.raises(UserError, match=f'stage={stage}.* gives 3 maps, expected -3 to 2'):
        backbone('vit', type='FRPT', stage=stage)


@pytest.mark.parametrize('peft', [dict(type='FRPT'), [dict(type='LoRA'), dict(type='FRPT')]])
def test_a_segmentor_refuses_it(peft):
    config = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=dict(type='TinyViT', init_seed=0), peft=peft),
        decode_head=dict(type='LinearHead'),
        num_classes=3,
    )
    with pytest.raises(UserError, match='FRPT moves the content of images.*PEFTImageModel'):
        MODELS.build(config)
