"""The whole system against the official one: files in as downloaded, logits out."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from rein_seg.run.test import load_weights
from tests.checkpoint import official_model
from tests.golden.collect import assert_near, cases

E2E = cases('rein', 'e2e')


@pytest.mark.parametrize('golden', E2E)
@torch.no_grad()
def test_image_to_logits_equals_the_official_system(golden, tmp_path):
    files = official_model.write(tmp_path, golden.path)
    model = official_model.build(files['encoder'], case=golden.path)
    names = len(set(golden.meta['adapter_only_state_dict']) - official_model.unused(golden.path))
    assert f'{names}/{names} tensors' in load_weights(model, files['adapter'])
    model.eval()
    outputs = golden.tensors('output')
    image = golden.tensors('input')['img']  # (H, W, 3) BGR
    height, width = image.shape[:2]
    sample = SegDataSample(
        metainfo=dict(ori_shape=(height, width), img_shape=(height, width)),
        gt_sem_seg=PixelData(data=torch.zeros(1, height, width, dtype=torch.long)),
    )
    data = model.data_preprocessor(dict(inputs=[image.permute(2, 0, 1)], data_samples=[sample]))
    assert_near(data['inputs'], outputs['preprocessed'].view_as(data['inputs']), 'preprocessed')
    rows, columns = golden.meta['config']['crop']
    window = model.encode_decode(data['inputs'][..., :rows, :columns], [{}])
    expected = outputs['window.logits'].view_as(window)
    assert_near(window, expected, 'window.logits')
    result = model.predict(data['inputs'], data['data_samples'])[0]
    logits, label = result.seg_logits.data, result.pred_sem_seg.data[0]
    expected = outputs['slide.logits'].view_as(logits)
    assert_near(logits, expected, 'slide.logits')
    best = expected.topk(2, dim=0).values
    clear = best[0] - best[1] > 1e-3
    assert torch.equal(label[clear], outputs['slide.label'].view_as(label)[clear].to(label))
