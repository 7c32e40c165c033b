"""Windows along the long side against EoMT's code: crops, places, scores, labels."""

import pytest
import torch

from rein_seg.heads.mask2former.masks import combine
from rein_seg.models.windows import fit_image, fit_places, fit_slide
from tests.golden.collect import cases

CASES = cases('mask_loss', 'semantic_inference')


def images(golden):
    """Yields the index of each image, the image, and the rows of its windows."""
    inputs, origins = golden.tensors('input'), golden.tensor('output.origins')
    for i in range(len(golden.meta['config']['images'])):
        rows = (origins[:, 0] == i).nonzero()[:, 0]
        yield i, inputs[f'image.{i}'][None].float(), rows


@pytest.mark.parametrize('golden', CASES)
def test_crops_and_places(golden):
    side = golden.meta['config']['img_size'][0]
    crops, origins = golden.tensor('output.crops'), golden.tensor('output.origins')
    for i, image, rows in images(golden):
        resized = fit_image(image, side)
        places = fit_places(resized.shape[-2:], side)
        along = 0 if resized.shape[-2] > resized.shape[-1] else 2
        assert [place[along : along + 2] for place in places] == [
            tuple(span) for span in origins[rows, 1:].tolist()
        ]
        for (y0, y1, x0, x1), row in zip(places, rows, strict=True):
            difference = (resized[0, :, y0:y1, x0:x1] - crops[row].float()).abs().max()
            assert difference <= 1, f'image {i}: {difference} grey levels'


@pytest.mark.parametrize('at_once', [1, 3])
@pytest.mark.parametrize('golden', CASES)
def test_scores_and_labels(golden, at_once):
    side = golden.meta['config']['img_size'][0]
    inputs, outputs = golden.tensors('input'), golden.tensors('output')
    own = golden.meta['tolerance']['output_max_abs']
    for i, image, rows in images(golden):
        left = rows.tolist()

        def predict(crops, left=left):
            here = [left.pop(0) for _ in crops]
            classes = inputs['class_logits'][here].softmax(-1)[..., :-1]
            return combine(classes, inputs['mask_logits'][here], (side, side))

        channels = golden.meta['config']['classes']
        scores = fit_slide(image, predict, channels, side=side, at_once=at_once)[0]
        assert left == []
        expected = outputs[f'scores.{i}']
        torch.testing.assert_close(scores, expected, rtol=0, atol=own[f'scores.{i}'])
        best = expected.topk(2, dim=0).values
        sure = best[0] - best[1] > 1e-4
        label = scores.argmax(0).to(outputs[f'label.{i}'].dtype)
        assert torch.equal(label[sure], outputs[f'label.{i}'][sure])
