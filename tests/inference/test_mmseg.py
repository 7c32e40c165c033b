"""mmseg's own functions of inference work on our models, with the results of our predictor."""

import cv2
import numpy as np
import pytest
from mmseg.apis import MMSegInferencer, inference_model

import rein_seg
from tests.inference.pixels import picture
from tests.inference.tiny_models import tiny_model, write_adapter

IMAGE = picture(41, 70)
RESIZE = dict(type='Resize', scale=(64, 32))


@pytest.mark.parametrize('steps', [(), (RESIZE,)], ids=['plain', 'resized'])
def test_inference_model_takes_files_and_arrays(tmp_path, steps):
    model = tiny_model(steps=steps)
    expected = rein_seg.Predictor(model).predict(IMAGE).map
    bgr = IMAGE[..., ::-1].copy()
    cv2.imwrite(str(tmp_path / 'a.png'), bgr)
    for source in (str(tmp_path / 'a.png'), bgr):
        label = inference_model(model, source).pred_sem_seg.data[0].numpy()
        np.testing.assert_array_equal(label, expected)
    both = inference_model(model, [bgr, bgr])
    assert [(one.pred_sem_seg.data[0].numpy() == expected).all() for one in both] == [True, True]


def test_the_inferencer_takes_config_and_adapter(tmp_path):
    path, _ = write_adapter(tmp_path)
    predictor = rein_seg.load(path, device='cpu')
    inferencer = MMSegInferencer(
        predictor.model.cfg,
        weights=str(path),
        device='cpu',
        classes=list(predictor.classes),
        palette=predictor.palette.tolist(),
        show_progress=False,
    )
    result = inferencer(IMAGE[..., ::-1].copy())['predictions']
    np.testing.assert_array_equal(result, predictor.predict(IMAGE).map)
