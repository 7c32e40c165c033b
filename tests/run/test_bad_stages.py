"""Mistakes with a network of stages of timm end before training, with one line and exit code 2."""

import pytest
import timm
import torch

from tests.cli.calls import assert_refused, call
from tests.run.tiny_run import write_config

# in place of the config's own encoder; heads of the demo take maps of any size
ENCODER = """
model['backbone']['encoder'] = dict(_delete_=True, type='TimmStages', out_indices=[1, 2],
    img_size={img_size}, model={model!r}, **{source!r})
"""


def refused(folder, model, *parts, command='train', img_size=(32, 64), **source):
    source = source or dict(init_seed=0)
    config = write_config(
        folder, extra=ENCODER.format(model=model, img_size=img_size, source=source)
    )
    more = ['--work-dir', folder / 'run'] if command == 'train' else []
    code, err = call(command, config, *more)
    assert_refused(code, err, *parts)
    assert len([line for line in err.splitlines() if line.startswith('error')]) == 1
    assert not list(folder.glob('run/*.pth'))


@pytest.mark.parametrize('command', ['train', 'count'])
@pytest.mark.parametrize(
    ('model', 'parts'),
    [
        ('tf_efficientnet_lite9', ("no model 'tf_efficientnet_lite9'", "'tf_efficientnet_lite4'")),
        ('vit_tiny_patch16_224', ('has no stages: all its maps have stride 16', 'TimmEncoder')),
        ('nest_tiny', ('takes no img_size=[32, 64]', 'set encoder.img_size=[64, 64]')),
    ],
)
def test_a_model_that_cannot_serve(command, model, parts, tmp_path):
    refused(tmp_path, model, *parts, command=command)


def test_a_crop_that_the_network_is_not_built_for(tmp_path):
    parts = (
        "'coatnet_pico_rw_224' is built for images of (64, 64)",
        'set encoder.img_size=[32, 64]',
    )
    refused(tmp_path, 'coatnet_pico_rw_224', *parts, img_size=(64, 64))


def test_a_file_of_another_architecture(tmp_path):
    torch.save(timm.create_model('resnet34').state_dict(), tmp_path / 'w.pth')
    parts = ("fits timm model 'resnet34', not 'resnet18'", "encoder.model='resnet34'")
    refused(tmp_path, 'resnet18', *parts, checkpoint=str(tmp_path / 'w.pth'))


def test_weights_that_nobody_published(tmp_path):
    parts = ("timm model 'cs3darknet_s' has no weights on the hub", 'checkpoint=FILE')
    refused(tmp_path, 'cs3darknet_s', *parts, pretrained=True)
