"""Training at several sizes: one size a batch, drawn by iteration, or a step at each."""

import random

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS

from rein_seg.datasets.sampling.stream import seed_everything
from rein_seg.errors import UserError
from rein_seg.heads.mmseg_head import as_samples
from rein_seg.models.multi_scale import MultiScale, resize_batch
from tests.encoders.tiny import ENCODERS

RATIOS = (0.75, 1.0, 1.25)


def model(**options):
    torch.manual_seed(0)
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODERS['vit'], peft=dict(type='LoRA', rank=2)),
        decode_head=dict(type='LinearHead'),
        num_classes=4,
        crop_size=(128, 128),
    )
    return MODELS.build({**cfg, **options}).train()


def batch(side=128):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 3, side, side), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 4, (2, side, side), generator=generator)
    labels[:, :9] = 255
    return dict(inputs=list(images), data_samples=as_samples(labels))


def wrapper(module, **options):
    trained = [p for p in module.parameters() if p.requires_grad]
    return OptimWrapper(torch.optim.SGD(trained, lr=0.1), **options)


def sizes_seen(module, iterations):
    seen = []
    module.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[2:]))
    for iteration in iterations:
        seed_everything(iteration)  # as IterationSeedHook does
        module.train_step(batch(), wrapper(module))
    return seen


def test_sizes_are_multiples_of_32_or_of_the_encoder():
    assert MultiScale('one', RATIOS).sizes((352, 352)) == [(256, 256), (352, 352), (448, 448)]
    assert MultiScale('one', RATIOS, divisor=16).sizes((128, 256)) == [
        (96, 192),
        (128, 256),
        (160, 320),
    ]
    assert MultiScale('one', RATIOS, divisor=14).sizes((224, 224)) == [
        (168, 168),
        (224, 224),
        (280, 280),
    ]


def test_one_size_is_drawn_by_iteration_and_a_resumed_run_draws_the_same():
    whole = sizes_seen(model(multi_scale='one'), range(12))
    assert set(whole) == {(96, 96), (128, 128), (160, 160)}
    assert sizes_seen(model(multi_scale='one'), range(7, 12)) == whole[7:]


def test_a_drawn_size_trains_as_a_batch_of_that_size():
    first, second = model(multi_scale='one', multi_scale_ratios=(0.5,)), model()
    log = first.train_step(batch(), wrapper(first))
    data = second.data_preprocessor(batch(), True)
    images = F.interpolate(data['inputs'], (64, 64), mode='bilinear', align_corners=False)
    labels = torch.stack([s.gt_sem_seg.data for s in data['data_samples']])
    labels = F.interpolate(labels.float(), (64, 64), mode='nearest-exact').long()[:, 0]
    losses = second.loss(images, as_samples(labels))
    torch.testing.assert_close(log['decode.loss_ce'], losses['decode.loss_ce'])


def test_each_takes_a_step_at_every_size():
    ours, reference = model(multi_scale='each'), model()
    seen = []
    ours.backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[2:])))
    log = ours.train_step(batch(), wrapper(ours))
    assert seen == [(96, 96), (128, 128), (160, 160)]
    steps, data = wrapper(reference), reference.data_preprocessor(batch(), True)
    losses = []
    for size in seen:
        images, samples = resize_batch(data['inputs'], data['data_samples'], size)
        loss, values = reference.parse_losses(reference.loss(images, samples))
        steps.update_params(loss)
        losses.append(values['loss'])
    for (name, a), b in zip(ours.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(a, b, msg=name)
    torch.testing.assert_close(log['loss'], torch.stack(losses).mean())


def test_labels_are_no_mixture_and_keep_what_is_ignored():
    data = model().data_preprocessor(batch(), True)
    images, samples = resize_batch(data['inputs'], data['data_samples'], (96, 160))
    labels = torch.stack([sample.gt_sem_seg.data for sample in samples])
    assert images.shape == (2, 3, 96, 160)
    assert labels.shape == (2, 1, 96, 160)
    assert set(labels.unique().tolist()) == {0, 1, 2, 3, 255}
    assert not labels.is_floating_point()


def test_tests_keep_their_size():
    module = model(multi_scale='one').eval()
    random.seed(0)
    for _ in range(4):
        result = module.data_preprocessor(dict(inputs=batch()['inputs']), False)
        assert result['inputs'].shape[2:] == (128, 128)


@pytest.mark.parametrize(
    ('form', 'ratios', 'message'),
    [
        ('all', RATIOS, "multi_scale='all': expected one of one, each"),
        ('one', (), 'expected factors above 0'),
        ('each', (1.0, 0.0), 'expected factors above 0'),
    ],
)
def test_bad_arguments_are_said(form, ratios, message):
    with pytest.raises(UserError, match=message):
        MultiScale(form, ratios)


def test_each_is_of_one_process_and_one_batch(monkeypatch):
    module = model(multi_scale='each')
    with pytest.raises(UserError, match='accumulative_counts=2: .* updates after each size'):
        module.train_step(batch(), wrapper(module, accumulative_counts=2))
    monkeypatch.setattr('rein_seg.models.multi_scale.dist.get_world_size', lambda: 4)
    with pytest.raises(UserError, match='in one process, and there are 4'):
        module.train_step(batch(), wrapper(module))
