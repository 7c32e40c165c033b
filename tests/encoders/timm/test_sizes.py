"""Sizes that timm's networks of stages take: the one they are built for, or any that runs."""

import pytest
import timm
import torch

from rein_seg.encoders.timm import TimmStages
from rein_seg.encoders.timm.sizes import StageSizes, as_size
from rein_seg.errors import UserError


def sizes_of(name, img_size=None, **args):
    with torch.device('meta'):
        return TimmStages(name, img_size, model_args=args).sizes


@pytest.mark.parametrize(
    ('name', 'img_size', 'would_do'),
    [
        ('maxvit_nano_rw_256', 500, [512, 512]),
        ('coatnet_pico_rw_224', [96, 100], [96, 128]),
        ('twins_svt_small', [102, 70], [128, 96]),
        ('hiera_tiny_224', [100, 64], [128, 64]),
        ('mvitv2_tiny', [64, 96], [96, 96]),
    ],
)
def test_a_size_that_the_network_cannot_have_names_one_that_it_can(name, img_size, would_do):
    with pytest.raises(UserError) as caught:
        sizes_of(name, img_size)
    height, width = as_size(img_size)
    assert f'timm model {name!r} takes no img_size=[{height}, {width}]' in str(caught.value)
    assert str(caught.value).endswith(f'set encoder.img_size={would_do}')
    assert sizes_of(name, would_do).built == tuple(would_do)


def test_a_network_of_one_size_takes_no_other():
    sizes = sizes_of('hiera_tiny_224', [128, 64])
    sizes.check((128, 64))
    with pytest.raises(UserError) as caught:
        sizes.check((64, 128))  # as many positions, at other places
    assert str(caught.value) == (
        "timm model 'hiera_tiny_224' is built for images of (128, 64) (height, width), not "
        '(64, 128): resize or crop to it, or set encoder.img_size=[64, 128]'
    )
    with pytest.raises(UserError, match=r'built for images of \(224, 224\).*img_size=\[128, 128\]'):
        sizes_of('maxvit_nano_rw_256.sw_in1k', 224).check((100, 128))


def test_a_network_of_any_size_is_asked_by_running_it():
    sizes = sizes_of('dla34')
    sizes.check((512, 352))
    with pytest.raises(UserError, match=r'takes no images of \(500, 333\).*pad to \(512, 352\)'):
        sizes.check((500, 333))
    sizes_of('pvt_v2_b0').check((67, 101))
    sizes_of('swin_tiny_patch4_window7_224', 64).check((68, 100))  # timm pads its windows
    with pytest.raises(UserError, match=r'takes no images of \(32, 32\).*pad to \(128, 128\)'):
        sizes_of('inception_v4').check((32, 32))


def test_asking_draws_no_random_numbers_and_leaves_the_network():
    network = timm.create_model('resnet18', features_only=True)
    sizes, before = StageSizes('resnet18', network, None, {}), torch.get_rng_state()
    sizes.check((64, 96))
    assert torch.equal(torch.get_rng_state(), before)
    assert network.training
