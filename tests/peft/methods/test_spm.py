"""SPM: its maps, their loss, and where its prompts go alone."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rein_seg.errors import UserError
from rein_seg.peft import SPM
from rein_seg.peft.methods.spm import interim_loss
from tests.encoders.tiny import ENCODERS


def backbone(family='vit', *, saving=False, **peft):
    peft = dict(type='SPM', **{'num_classes': 3, **peft})
    return MODELS.build(
        dict(
            type='PEFTBackbone',
            encoder=ENCODERS[family],
            peft=peft,
            activation_checkpointing=saving,
        )
    )


def image():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def labels(ignored=0):
    drawn = torch.randint(0, 3, (2, 32, 32), generator=torch.Generator().manual_seed(2))
    drawn[:, :ignored] = 255
    return drawn


@pytest.mark.parametrize(
    ('family', 'feed', 'keys'),
    [
        ('vit', 'next', ['in_1', 'in_2']),
        ('vit', 'both', ['out_0', 'out_1']),
        ('swin', 'next', ['in_2']),
        ('convnext', 'both', ['out_0']),
    ],
)
def test_one_matcher_between_two_stages(family, feed, keys):
    assert list(backbone(family, feed=feed).peft.layers) == keys


@pytest.mark.parametrize(('feed', 'changes'), [('next', False), ('both', True)])
def test_where_prompts_go(feed, changes):
    model = backbone(feed=feed, num_stages=2).eval()
    before = model(image()).maps
    (matcher,) = model.peft.layers.values()
    matcher.up.bias.data.fill_(1.0)
    after = model(image()).maps
    assert torch.equal(before[0], after[0]) != changes
    assert (before[1] - after[1]).abs().max() > 1e-3


def test_loss_is_the_mean_over_maps_and_is_handed_out_once():
    model = backbone(num_steps=2, loss_weight=0.5)
    model(image())
    maps = [m for layer in model.peft.layers.values() for m in layer.take_logits()]
    assert [m.shape for m in maps] == [(2, 3, 4, 4)] * 4
    model(image())
    loss = model.peft.label_losses(labels(), ignore_index=255)['loss_interim']
    coarse = labels()[:, 4::8, 4::8]  # the nearest pixel of each place
    expected = 0.5 * torch.stack([F.cross_entropy(m, coarse) for m in maps]).mean()
    torch.testing.assert_close(loss, expected)
    assert model.peft.label_losses(labels(), ignore_index=255) == {}
    model.eval()(image())
    assert model.peft.label_losses(labels(), ignore_index=255) == {}


@pytest.mark.parametrize(('ignored', 'zero'), [(16, False), (32, True)])
def test_ignored_pixels_do_not_count(ignored, zero):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    loss = interim_loss(logits, labels(ignored), 255)
    loss.backward()
    assert (loss == 0) == zero
    assert torch.isfinite(logits.grad).all()
    assert not logits.grad[:, :, : ignored // 8].any()


def test_loss_has_the_same_gradient_with_checkpointing():
    grads = []
    for saving in (False, True):
        torch.manual_seed(0)
        model = backbone(saving=saving)
        loss = model(image()).maps[-1].square().sum()
        (loss + model.peft.label_losses(labels(), ignore_index=255)['loss_interim']).backward()
        grads.append([p.grad for p in model.peft.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_copy_leaves_the_maps_behind():
    model = backbone()
    model(image())
    assert copy.deepcopy(model).peft.label_losses(labels(), ignore_index=255) == {}


def test_a_segmentor_gives_classes_and_labels():
    model = MODELS.build(
        dict(
            type='PEFTSegmentor',
            backbone=dict(
                type='PEFTBackbone', encoder=ENCODERS['vit'], peft=dict(type='SPM', loss_weight=1.0)
            ),
            decode_head=dict(type='LinearHead'),
            num_classes=3,
        )
    )
    assert model.backbone.peft.num_classes == 3
    samples = []
    for label in labels():
        sample = SegDataSample(gt_sem_seg=PixelData(data=label[None]))
        sample.set_metainfo(dict(img_shape=(32, 32), pad_shape=(32, 32)))
        samples.append(sample)
    losses = model.loss(image(), samples)
    assert 0.5 < losses['peft.loss_interim'] < 3
    assert model.identity['method']['num_classes'] == 3


def test_errors():
    with pytest.raises(UserError, match='num_classes=None: a segmentor fills it in'):
        SPM()
    with pytest.raises(UserError, match="feed='all': expected next or both"):
        SPM(3, feed='all')
    with pytest.raises(UserError, match='num_steps=0'):
        SPM(3, num_steps=0)
    with pytest.raises(UserError, match='SPM sits between stages'):
        backbone(num_stages=1)
