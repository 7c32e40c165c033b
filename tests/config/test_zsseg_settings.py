"""The settings of zsseg's second stage: weights, thresholds and words of each data set."""

import pytest

from rein_seg.apis import load_config

TO = 'zsseg_clip_base_coco_stuff_to_'
LEARNED, VILD = 'PrefixDot', 'vild'


@pytest.mark.parametrize(
    ('name', 'queries', 'regions', 'weight', 'threshold'),
    [
        ('zsseg_clip_base_coco_stuff', LEARNED, None, 0.8, 0.5),
        ('zsseg_clip_base_voc', 'a sculpture of a {}.', LEARNED, 0.7, 0.5),
        (f'{TO}ade20k', VILD, None, 0.5, 0.4),
        (f'{TO}context59', VILD, None, 0.4, 0.5),
        (f'{TO}cityscapes', VILD, None, 0.4, 0.3),
        (f'{TO}voc20', VILD, LEARNED, 0.4, 0.5),
    ],
)
def test_settings(name, queries, regions, weight, threshold):
    model = load_config(f'{name}.py').model
    words = model.text.get('templates', model.text.type)
    assert words in (queries, [queries])
    text = model.regions.get('text')
    assert (text and text.type) == regions
    assert (model.ensemble_weight, model.regions.threshold) == (weight, threshold)
    assert model.regions.encoder.class_embedding_twice is False


def test_exponents_of_other_data():
    assert load_config(f'{TO}ade20k.py').model.seen == []
    seen = load_config(f'{TO}voc20.py').model.seen
    unseen = load_config('zsseg_clip_base_voc.py').benchmark.unseen
    assert len(seen) == 15 and not set(seen) & set(unseen)


@pytest.mark.parametrize(
    ('name', 'classes', 'shots', 'iterations'),
    [('voc', 15, 128, 3200), ('coco_stuff', 156, 32, 16000)],
)
def test_stage_0(name, classes, shots, iterations):
    cfg = load_config(f'zsseg_clip_base_{name}_stage0.py')
    dataset, optimizer = cfg.train_dataloader.dataset, cfg.optim_wrapper.optimizer
    assert (cfg.model.num_classes, dataset.shots) == (classes, shots)
    assert (cfg.train_cfg.max_iters, cfg.train_dataloader.batch_size) == (iterations, 32)
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('SGD', 0.02, 5e-4)
    constant, cosine = cfg.param_scheduler
    assert (constant.type, constant.end) == ('ConstantLR', 100)
    assert (cosine.type, cosine.end) == ('CosineAnnealingLR', iterations)
