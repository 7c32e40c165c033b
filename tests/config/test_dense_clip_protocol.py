"""The recipes of DenseCLIP: rates, decay, sizes, and the published numbers of parameters."""

import pytest
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

from rein_seg.apis import load_config
from rein_seg.export.count import build_shapes
from rein_seg.models.base import count_parameters

OFFICIAL = {
    # protocol, crop; millions of parameters: encoder with its pool or pyramid, context decoder,
    # FPN, head, all that trains
    'full_dense_clip_resnet50_ade20k': ('denseclip512', 512, (38.74, 3.95, 3.38, 4.17), 50.25),
    'full_dense_clip_resnet101_ade20k': ('denseclip512', 512, None, 67.80),
    'full_dense_clip_vit_base_ade20k': ('denseclip640', 640, (94.36, 3.55, 3.19, 4.17), 105.27),
}
TRANSFORMER = 'full_dense_clip_vit_base_ade20k'


def optimized(name):
    """Name of a trainable tensor -> its learning rate and weight decay."""
    cfg = load_config(name)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TrainableOptimConstructor',
            optim_wrapper_cfg=dict(optimizer=dict(cfg.optim_wrapper.optimizer)),
            paramwise_cfg=cfg.optim_wrapper.paramwise_cfg,
        )
    )
    model = build_shapes(cfg)
    found = {
        id(p): (round(group['lr'], 12), group['weight_decay'])
        for group in constructor(model).optimizer.param_groups
        for p in group['params']
    }
    return {name: found[id(p)] for name, p in model.named_parameters() if id(p) in found}


@pytest.mark.parametrize('name', OFFICIAL)
def test_the_sizes_of_crops_and_windows(name):
    cfg, (protocol, side, _, _) = load_config(name), OFFICIAL[name]
    assert (cfg.benchmark.protocol, cfg.sync_bn) == (protocol, 'torch')
    assert tuple(cfg.model.crop_size) == (side, side)
    stride = {512: 341, 640: 426}[side]
    assert tuple(cfg.model.test_cfg.stride) == (stride, stride)
    steps = {step.type: step for step in cfg.val_dataloader.dataset.pipeline}
    assert tuple(steps['Resize'].scale) == (2048, side)
    assert cfg.model.backbone.encoder.img_size == side
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (4, 80000)
    assert len(cfg.model.text.classes) == 150
    warmup, poly = cfg.param_scheduler
    assert (warmup.start_factor, warmup.end) == (1e-6, 1500)
    assert (poly.power, poly.eta_min, poly.begin, poly.end) == (0.9, 1e-6, 0, 80000)


def test_the_image_encoder_has_a_tenth_of_the_rate_and_the_decoders_norms_do_not_decay():
    found = optimized(TRANSFORMER)
    slow = ('backbone.', 'neck.pyramid.')  # officially the pyramid is a part of the encoder
    assert {lr for n, (lr, _) in found.items() if n.startswith(slow)} == {1e-5}
    assert {lr for n, (lr, _) in found.items() if not n.startswith(slow)} == {1e-4}
    undecayed = {name for name, (_, decay) in found.items() if decay == 0}
    assert undecayed == {
        n for n in found if n.startswith('neck.context_decoder.decoder.') and '.norm' in n
    }
    assert len(undecayed) == 3 * 3 * 2
    assert {'text.contexts', 'neck.gamma', 'backbone.encoder.joint.proj'} <= found.keys()
    assert not [name for name in found if name.startswith('text.tower')]


def test_a_method_beside_the_official_recipe_has_the_full_rate():
    found = optimized('lora_dense_clip_vit_base_ade20k')
    assert {lr for name, (lr, _) in found.items() if name.startswith('backbone.')} == {1e-4}
    assert {lr for n, (lr, _) in found.items() if n.startswith('neck.pyramid.')} == {1e-5}


@pytest.mark.parametrize('name', OFFICIAL)
def test_the_published_numbers_of_parameters(name):
    _, _, parts, total = OFFICIAL[name]
    model = build_shapes(load_config(name))

    def millions(*modules):
        return sum(p.numel() for module in modules for p in module.parameters()) / 1e6

    neck = model.neck
    assert count_parameters(model)['trainable'] / 1e6 == pytest.approx(total, abs=0.006)
    if parts is not None:
        found = [
            millions(model.backbone.encoder, neck.pyramid),
            *(millions(part) for part in (neck.context_decoder, neck.fpn, model.decode_head)),
        ]
        assert found == pytest.approx(parts, abs=0.006)
    assert millions(model.text.tower) == pytest.approx(63.4, abs=0.3)
