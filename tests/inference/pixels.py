"""Pictures, readers of them, and mmseg's own result for a picture."""

import numpy as np
import torch
from mmseg.structures import SegDataSample
from PIL import Image


def picture(height, width, seed=0):
    """A smooth picture with detail: neighbours are alike, as in a photograph."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(1, height // 8), max(1, width // 8), 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


def array_reader(image):
    """A reader as `predict_strips` takes it."""
    return lambda y0, x0, y1, x1: image[y0:y1, x0:x1]


def reference(model, image, size=None):
    """Labels and logits of mmseg's own test step for an RGB picture, in the given size."""
    model.test_cfg['keep_logits'] = True
    shapes = dict(img_shape=image.shape[:2], ori_shape=size or image.shape[:2])
    sample = SegDataSample(metainfo=shapes)
    tensor = torch.from_numpy(image[..., ::-1].transpose(2, 0, 1).copy())
    with torch.no_grad():
        result = model.test_step(dict(inputs=[tensor], data_samples=[sample]))[0]
    return result.pred_sem_seg.data[0].numpy(), result.seg_logits.data
