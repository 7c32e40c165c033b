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
from rein_seg.peft.methods.spm import Matcher
from rein_seg.peft.parts.interim import class_shares, interim_loss, soft_interim_loss
from rein_seg.registry import reconstructions
from rein_seg.resize import resize_to
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


@pytest.mark.parametrize('recurrence', ['within', 'across'])
def test_loss_has_the_same_gradient_with_checkpointing(recurrence):
    grads = []
    for saving in (False, True):
        torch.manual_seed(0)
        model = awake(saving=saving, recurrence=recurrence)
        loss = model(image()).maps[-1].square().sum()
        (loss + model.peft.label_losses(labels(), ignore_index=255)['loss_interim']).backward()
        grads.append([p.grad for p in model.peft.parameters()])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def awake(family='vit', **options):
    """A model whose layers that start at zero have random weights."""
    model = backbone(family, **options)
    generator = torch.Generator().manual_seed(5)
    for layer in model.peft.layers.values():
        for one in (layer.up, getattr(layer, 'carry', layer.up)):
            one.weight.data.normal_(std=0.3, generator=generator)
    return model


def test_the_map_guides_the_prompt():
    model = awake(num_steps=1).eval()
    before = model(image()).maps[-1]
    for layer in model.peft.layers.values():
        layer.classify.weight.data.neg_()
    assert (model(image()).maps[-1] - before).abs().max() > 1e-3


def test_a_second_step_goes_on_from_the_first():
    one, two = awake(num_steps=1).eval(), awake(num_steps=2).eval()
    two.load_state_dict(one.state_dict())
    assert (one(image()).maps[-1] - two(image()).maps[-1]).abs().max() > 1e-3


def test_evaluation_keeps_no_graph():
    model = awake(recurrence='across').eval()
    model(image())
    layers = model.peft.layers.values()
    assert [layer.take_logits() for layer in layers] == [[], []]
    assert next(iter(layers)).handed is None


def test_maps_go_across_boundaries():
    """Each later map is its own classes and the map before, resized and projected."""
    model = awake('resnet_clip', recurrence='across', num_steps=1)
    seen = {}
    for name, layer in model.peft.layers.items():
        layer.classify.register_forward_hook(lambda m, a, out, name=name: seen.update({name: out}))
    model(image())
    maps = {name: layer.take_logits()[0] for name, layer in model.peft.layers.items()}
    names = list(maps)
    assert len(names) > 1
    assert maps[names[0]].shape != maps[names[1]].shape
    for last, name in zip(names, names[1:], strict=False):
        weight = model.peft.layers[name].carry.weight[..., None, None]
        carried = F.conv2d(resize_to(maps[last], maps[name].shape[2:]), weight)
        own = seen[name].transpose(1, 2).view_as(maps[name])
        torch.testing.assert_close(maps[name], own + carried)
        assert carried.abs().max() > 1e-3


def test_recurrence_across_boundaries_starts_as_without_it():
    torch.manual_seed(0)
    model = awake(recurrence='across').eval()
    for name, parameter in model.peft.named_parameters():
        parameter.data *= 'carry' not in name
    without = backbone().eval()
    missing, unexpected = without.load_state_dict(model.state_dict(), strict=False)
    assert missing == []
    assert unexpected == ['peft.layers.in_2.carry.weight']
    assert torch.equal(model(image()).maps[-1], without(image()).maps[-1])


@pytest.mark.parametrize('recurrence', ['within', 'across'])
def test_a_copy_leaves_the_maps_behind(recurrence):
    model = backbone(recurrence=recurrence)
    model(image())
    model.eval()(image())
    assert copy.deepcopy(model).peft.label_losses(labels(), ignore_index=255) == {}


def test_shares_of_classes_count_labelled_pixels_once():
    labels = torch.full((1, 6, 8), 2)
    labels[:, :, 4] = 1  # one pixel wide
    labels[:, :2, :2] = 255
    labels[:, 0, 0] = 0
    shares = class_shares(labels, 3, (3, 2), 255)[0].permute(1, 2, 0)
    torch.testing.assert_close(shares[0, 0], torch.tensor([1 / 5, 0, 4 / 5]))
    torch.testing.assert_close(shares[:, 1], torch.tensor([[0, 0.25, 0.75]] * 3))
    uneven = class_shares(labels, 3, (4, 3), 255)
    torch.testing.assert_close(uneven.sum(1), torch.ones(1, 4, 3))
    assert not class_shares(torch.full((1, 4, 4), 255), 3, (2, 2), 255).any()


def test_soft_labels_keep_a_class_thinner_than_a_patch():
    thin = torch.zeros(1, 32, 32, dtype=torch.long)
    thin[:, :, ::8] = 1
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    interim_loss(logits, thin, 255).backward()
    nearest, logits.grad = logits.grad, None
    soft_interim_loss(logits, thin, 255).backward()
    torch.testing.assert_close(nearest[:, 1], torch.full((1, 4, 4), 0.5 / 16))  # class 1 is absent
    torch.testing.assert_close(logits.grad[:, 1], torch.full((1, 4, 4), (0.5 - 1 / 8) / 16))


def test_soft_labels_of_whole_patches_are_the_labels():
    coarse = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(3))
    coarse[0, 1] = 255
    whole = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(4))
    expected = F.cross_entropy(logits, coarse, ignore_index=255)
    torch.testing.assert_close(soft_interim_loss(logits, whole, 255), expected)
    assert soft_interim_loss(logits, torch.full_like(whole, 255), 255) == 0


@pytest.mark.parametrize('interim_labels', ['nearest', 'soft'])
def test_the_loss_reads_the_labels_as_asked(interim_labels):
    model = backbone(interim_labels=interim_labels, num_steps=1, loss_weight=1.0)
    model(image())
    layers = model.peft.layers.values()
    compute = dict(nearest=interim_loss, soft=soft_interim_loss)[interim_labels]
    expected = torch.stack([compute(layer.take_logits()[0], labels(3), 255) for layer in layers])
    model(image())
    found = model.peft.label_losses(labels(3), ignore_index=255)['loss_interim']
    torch.testing.assert_close(found, expected.mean())


def test_size_on_dinov2_large():
    with torch.device('meta'):
        matcher = Matcher(1024, 19, 1024 // 8, num_steps=2)
    assert 3 * sum(p.numel() for p in matcher.parameters()) == 964_665


def test_it_is_marked_as_a_reconstruction():
    assert 'of the matcher and all numbers are ours' in reconstructions(backbone())['SPM']


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
    with pytest.raises(UserError, match="recurrence='across': this 'swin' .* one boundary .* two"):
        backbone('swin', recurrence='across')
