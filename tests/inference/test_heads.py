"""Each kind of head, encoder and test setting gives mmseg's labels, at any size."""

import numpy as np
import pytest
import torch

from rein_seg.apis import Predictor
from rein_seg.errors import NotFinite
from tests.encoders.tiny import ENCODERS
from tests.heads.tiny import GROUPS, HEADS
from tests.inference.pixels import picture, reference
from tests.inference.tiny_models import SLIDE, tiny_model

SIGMOID = dict(type='CrossEntropyLoss', use_sigmoid=True)
CASES = {
    'one channel': (
        dict(type='FCNHead', channels=8, norm_cfg=GROUPS, out_channels=1, loss_decode=SIGMOID),
        2,
    ),
    'SAM, foreground': (HEADS['SAM, foreground']['decode_head'], 2),
    'SAM, classes': (HEADS['SAM, classes']['decode_head'], 5),
    'Mask2Former': (HEADS['Mask2Former']['decode_head'], 5),
    'PMT': (HEADS['PMT']['decode_head'], 5),
    'MaskFormer': (HEADS['MaskFormer']['decode_head'], 5),
    'EoMT': (HEADS['EoMT']['decode_head'], 5),
}


FOUR_MAPS = {
    **ENCODERS['vit_tiny'],
    'arch': dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32),
    'out_indices': [0, 1, 2, 3],
}


@pytest.mark.parametrize('test_cfg', [None, SLIDE], ids=['whole', 'slide'])
@pytest.mark.parametrize('name', CASES)
def test_a_head_of_each_kind(name, test_cfg):
    head, classes = CASES[name]
    encoder = 'sam' if 'SAM' in name else FOUR_MAPS
    model = tiny_model(head, classes, encoder=encoder, test_cfg=test_cfg)
    image = picture(40, 70)
    predictor = Predictor(model)
    result = predictor.predict(image, scores=True)
    label, kept = reference(model, image)
    np.testing.assert_array_equal(result.map, label)
    assert result.scores.shape == (classes, 40, 70)
    np.testing.assert_allclose(result.scores.sum(0), 1, atol=1e-5)
    if model.heads['decode'].sigmoid:
        np.testing.assert_allclose(result.scores[1], kept[0].numpy(), atol=1e-6)
    else:
        expected = model.heads['decode'].probabilities(kept[None])[0].numpy()
        np.testing.assert_allclose(result.scores, expected, atol=1e-6)
        np.testing.assert_array_equal(result.scores.argmax(0), label)
    turned = predictor.predict(image, tta=dict(scales=[1], flip=True), scores=True)
    mirrored = predictor.predict(image[:, ::-1].copy(), scores=True).scores[..., ::-1]
    np.testing.assert_allclose(turned.scores, (result.scores + mirrored) / 2, atol=1e-5)


@pytest.mark.parametrize('encoder', ENCODERS)
def test_images_smaller_than_a_patch_work_with_every_encoder(encoder):
    for test_cfg in (None, SLIDE):
        predictor = Predictor(tiny_model(encoder=encoder, test_cfg=test_cfg))
        for size in ((1, 1), (33, 17), (2, 70)):
            assert predictor.predict(picture(*size)).map.shape == size


STEPS = {
    'squeezed': [dict(type='Resize', scale=(64, 32))],
    'enlarged': [dict(type='Resize', scale=(96, 96), keep_ratio=True)],
    'pillow': [dict(type='Resize', scale=(64, 64), interpolation='bicubic', backend='pillow')],
}


@pytest.mark.parametrize('test_cfg', [None, SLIDE], ids=['whole', 'slide'])
@pytest.mark.parametrize('steps', STEPS)
def test_resizes_of_the_test_pipeline_stay(steps, test_cfg):
    model = tiny_model(steps=STEPS[steps], test_cfg=test_cfg)
    image = picture(50, 75)
    result = Predictor(model).predict(image, scores=True)
    shown = image[..., ::-1].copy()
    seen = model.image_steps[0](dict(img=shown, img_shape=(50, 75), ori_shape=(50, 75)))['img']
    label, logits = reference(model, seen[..., ::-1], size=(50, 75))
    assert result.map.shape == (50, 75)
    np.testing.assert_allclose(result.scores, logits.softmax(0).numpy(), atol=1e-5)
    assert (result.map == label).mean() > 0.999


def test_views_of_arrays_are_resized():
    predictor = Predictor(tiny_model(steps=STEPS['squeezed']))
    image = picture(50, 75)
    expected = predictor.predict(image.copy()).map
    for view in (image[..., ::-1].copy()[..., ::-1], np.asfortranarray(image)):
        np.testing.assert_array_equal(predictor.predict(view).map, expected)


def test_a_strip_of_one_pixel_survives_a_resize_that_keeps_the_ratio():
    steps = [dict(type='Resize', scale=(64, 32), keep_ratio=True)]
    assert Predictor(tiny_model(steps=steps)).predict(picture(1, 900)).map.shape == (1, 900)


def test_a_preprocessor_that_pads():
    model = tiny_model()
    predictor = Predictor(model)
    plain = predictor.predict(picture(64, 64))
    model.data_preprocessor.test_cfg = dict(size_divisor=64)
    image = picture(40, 70)
    np.testing.assert_array_equal(predictor.predict(image).map, reference(model, image)[0])
    np.testing.assert_array_equal(predictor.predict(picture(64, 64)).map, plain.map)


def test_numbers_that_are_not_finite_name_the_image():
    model = tiny_model()
    next(model.decode_head.parameters()).data.fill_(torch.nan)
    with pytest.raises(NotFinite, match=r'^street: the predictions of 800 of 800 pixels'):
        Predictor(model).predict_image(picture(20, 40), name='street')
