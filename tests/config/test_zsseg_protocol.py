"""zsseg's first stage: crops, rates, clipping and test sizes; trainable parameters of its parts."""

import pytest

from rein_seg.apis import load_config
from rein_seg.config.builtin import benchmarks, protocols
from rein_seg.export.count import build_shapes
from rein_seg.models.base import count_parameters
from tests.paths import REPO


def load(name):
    return load_config(str(REPO / f'configs/{name}.py'))


@pytest.mark.parametrize(
    ('name', 'protocol', 'side', 'images', 'iterations'),
    [
        ('zsseg_r50_voc20_15_5', 'zsseg512_voc', 512, 16, 20000),
        ('zsseg_r50_coco_stuff_156_15', 'zsseg640_coco', 640, 32, 60000),
    ],
)
def test_crops_rates_and_sizes(name, protocol, side, images, iterations):
    cfg, stored = load(name), protocols()[protocol]
    assert (cfg.benchmark.protocol, tuple(cfg.model.crop_size)) == (protocol, (side, side))
    assert stored.batch_size * stored.gpus == images
    assert protocol in benchmarks()[cfg.benchmark.name].protocols
    wrapper = cfg.optim_wrapper
    optimizer = wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 1e-4, 1e-4)
    assert wrapper.clip_grad == dict(max_norm=0.01)
    assert wrapper.paramwise_cfg.prefix_lr_mult == {'backbone.': 0.1}
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.power, schedule.end) == ('PolyLR', 0.9, iterations)
    assert cfg.train_cfg.max_iters == iterations
    assert cfg.model.test_cfg.mode == 'whole'
    steps = cfg.test_dataloader.dataset.pipeline
    assert next(s.scale for s in steps if s.type == 'Resize') == (4 * side, side)


@pytest.mark.parametrize(
    ('name', 'encoder'),
    [('zsseg_r50_voc20_15_5', 23508032), ('zsseg_r101c_coco_stuff_156_15', 42519392)],
)
def test_parameters_of_the_parts(name, encoder):
    model = build_shapes(load(name))
    counts = count_parameters(model)
    head = model.decode_head
    classes = sum(p.numel() for p in head.predictor.class_embed.parameters())
    assert classes == 256 * 1024 + 1024 + 1024 * 512 + 512  # 0.79 M
    # 17.8 M besides: pyramid, queries, mask branch, and "no object"
    assert counts['neck_and_head'] == classes + 512 + 17761024
    assert counts['method'] == encoder
    assert counts['trainable'] == counts['method'] + counts['neck_and_head']


def test_images_are_normalised_as_imagenet():
    for name in ('zsseg_r50_voc20_15_5', 'zsseg_r101c_coco_stuff_156_15'):
        info = build_shapes(load(name)).backbone.encoder_info
        assert info.mean == (123.675, 116.28, 103.53)
        assert info.std == (58.395, 57.12, 57.375)


@pytest.mark.parametrize(
    'name', ['lora_clip_base_maskformer_voc20_15_5', 'rein_dinov2_base_maskformer_voc20_15_5']
)
def test_rows_of_ours_train_the_method_at_the_full_rate(name):
    cfg = load(name)
    assert cfg.optim_wrapper.paramwise_cfg.prefix_lr_mult == {'backbone.': 1.0}
    counts = count_parameters(build_shapes(cfg))
    assert 0 < counts['method'] < 1e7 < counts['frozen']
