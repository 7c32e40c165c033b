"""A model in a program: images are resized as the test pipeline does, results keep their size."""

import numpy as np
import pytest
from mmengine.config import Config

from rein_seg.apis import init_model, predict
from rein_seg.errors import UserError
from tests.encoders.tiny import ENCODERS


def config(pipeline):
    model = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODERS['vit'], peft=dict(type='Frozen')),
        decode_head=dict(type='LinearHead'),
        num_classes=19,
    )
    data = dict(dataset=dict(type='MiniScapesDataset', pipeline=pipeline))
    return Config(dict(default_scope='mmseg', model=model, test_dataloader=data))


@pytest.mark.parametrize(
    ('steps', 'seen'), [([], (48, 80)), ([dict(type='Resize', scale=(64, 32))], (32, 64))]
)
def test_prediction_has_the_images_size_whatever_the_network_sees(steps, seen):
    load = dict(type='LoadImageFromFile')
    model = init_model(config([load, *steps, dict(type='PackDomainInputs')]), device='cpu')
    sizes = []
    model.backbone.register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape[-2:]))
    image = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    label = predict(model, image)
    assert sizes == [seen]
    assert (label.shape, label.dtype) == ((48, 80), np.uint8)
    assert label.max() < 19
    with pytest.raises(UserError, match='expected uint8'):
        predict(model, image[..., 0])
