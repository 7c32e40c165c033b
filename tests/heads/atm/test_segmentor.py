"""A whole model with ATM: other heads and methods beside it, windows, confidence, results."""

import torch
from mmseg.registry import MODELS

from tests.encoders.tiny import ENCODERS
from tests.models.tiny import samples

CLASSES = ['road', 'sky', 'car', 'tree']
SPM = dict(type='SPM', num_stages=2)
TRANSDUCTIVE = dict(setting='transductive', unseen_label=254)


def build(head=None, peft=None, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(
                type='PEFTBackbone',
                encoder=ENCODERS['clip_joint'],
                peft=peft or dict(type='VPT', num_tokens=2, post_norm=True),
            ),
            text=dict(type='ClassTable', classes=CLASSES, unseen=['sky', 'tree']),
            decode_head=dict(type='ATMHead', num_heads=2, dropout=0.0, **(head or {})),
            num_classes=len(CLASSES),
            **options,
        )
    )


def losses(model, labels):
    torch.manual_seed(1)
    images = torch.randn(2, 3, 32, 48)
    found = samples(2, 32, 48)
    for sample, label in zip(found, labels, strict=True):
        sample.gt_sem_seg.data = label[None]
    torch.manual_seed(2)
    return model.loss(images, found)


def test_the_marker_of_unseen_pixels_is_an_ignored_pixel_for_all_other_parts():
    labels = torch.randint(0, 4, (2, 32, 48), generator=torch.Generator().manual_seed(0))
    labels[:, :8] = 255
    marked = labels.masked_fill((labels == 1) | (labels == 3), 254)
    aux = dict(type='LinearHead')
    model = build(TRANSDUCTIVE, peft=SPM, auxiliary_head=aux).eval()
    model.backbone.peft.train()  # maps of its own loss
    found = losses(model, marked)
    ignored = losses(model, marked.masked_fill(marked == 254, 255))
    others = {'aux_0.loss_ce', 'peft.loss_interim'}
    assert others <= found.keys()
    for name in others:
        assert found[name].isfinite()
        assert found[name] == ignored[name]
    assert found['decode.loss_mask'] != ignored['decode.loss_mask']
    given = losses(model, labels)  # which unseen class it is plays no part
    assert given['decode.loss_mask'] == found['decode.loss_mask']


def test_a_batch_of_unseen_pixels_alone_trains_finitely():
    for setting in ({}, TRANSDUCTIVE):
        model = build(setting).train()
        found = losses(model, torch.full((2, 32, 48), 254))
        total = sum(found.values())
        assert total.isfinite()
        total.backward()
        params = [p for p in model.parameters() if p.requires_grad]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in params)


def test_windows_average_scores_and_confidence_is_of_the_predicted_class():
    model = build(test_cfg=dict(mode='slide', crop_size=(32, 32), stride=(16, 16))).eval()
    torch.nn.init.normal_(model.decode_head.q_proj.weight)
    image = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        parts = [model.encode_decode(image[..., x : x + 32]) for x in (0, 16)]
        scores = model.slide_inference(image)
    middle = (parts[0][..., 16:] + parts[1][..., :16]) / 2
    torch.testing.assert_close(scores[..., 16:32], middle)
    model.keep_confidence = True
    (result,) = model.postprocess_result(scores)
    label = result.pred_sem_seg.data
    assert torch.equal(label, scores[0].argmax(0, keepdim=True))
    expected = model.decode_head.probabilities(scores)[0].gather(0, label)
    torch.testing.assert_close(result.confidence.data, expected)
    assert 0 < expected.min() < expected.max() < 1
