"""The protocols of SETR: rates of heads, neck and encoder."""

import pytest
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

from rein_seg.apis import load_config
from rein_seg.export.count import build_shapes
from tests.paths import REPO


@pytest.mark.parametrize(
    ('name', 'protocol', 'lr', 'crop'),
    [
        ('full_setr_naive_cityscapes', 'setr768', 0.01, (768, 768)),
        ('full_setr_pup_cityscapes', 'setr768', 0.01, (768, 768)),
        ('full_setr_mla_cityscapes', 'setr768_mla', 0.002, (768, 768)),
        ('full_setr_pup_ade20k', 'setr512', 0.001, (512, 512)),
        ('full_setr_mla_ade20k', 'setr512', 0.001, (512, 512)),
    ],
)
def test_setr_trains_its_heads_at_ten_times_the_rate(name, protocol, lr, crop):
    cfg = load_config(str(REPO / 'configs' / f'{name}.py'))
    assert (cfg.benchmark.protocol, tuple(cfg.model.crop_size)) == (protocol, crop)
    assert cfg.param_scheduler[0].eta_min == 1e-4
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.momentum, optimizer.weight_decay) == (lr, 0.9, 0.0)
    constructor = OPTIM_WRAPPER_CONSTRUCTORS.build(
        dict(
            type='TrainableOptimConstructor',
            optim_wrapper_cfg=dict(optimizer=dict(optimizer)),
            paramwise_cfg=cfg.optim_wrapper.paramwise_cfg,
        )
    )
    model = build_shapes(cfg)
    rates = {
        id(p): group['lr'] for group in constructor(model).optimizer.param_groups
        for p in group['params']
    }  # fmt: skip
    found = {key: rates[id(p)] for key, p in model.named_parameters() if id(p) in rates}
    # the neck of MLA is officially a part of the backbone
    slow = ('backbone.', 'decode_head.decoder.mla.', 'decode_head.decoder.norm_')
    assert {v for k, v in found.items() if k.startswith(slow)} == {lr}
    assert {v for k, v in found.items() if not k.startswith(slow)} == {10 * lr}
