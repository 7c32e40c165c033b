"""Seconds an image of a segmentor in one stage and in two, measured in turn in one run.

    python -m tests.bench.two_stages          # tiny models, 128 x 256
    python -m tests.bench.two_stages --full   # ViT-B/16, ResNet-50, random weights, 512 x 512

The papers say that two stages take about 5 times as long.
"""

import argparse
import statistics
import time

import torch
from mmseg.registry import MODELS

from rein_seg.apis import load_config

TINY = ('zegclip_tiny_miniscapes', 'zsseg_tinyclip_miniscapes')
FULL = ('zegclip_clip_base_voc', 'zsseg_r50_voc20_15_5')
RANDOM = dict(checkpoint=None, checkpoint_url=None, init_seed=0)


def model_of(name, full):
    """The model of a config; with ``full`` random weights in place of files."""
    cfg = load_config(f'{name}.py')
    if full:
        cfg.model.backbone.encoder.update(RANDOM)
        words = {key: cfg.model.text.get(key) for key in ('classes', 'unseen')}
        cfg.model.text = dict(type='ClassTable', init_seed=0, dims=512, **words)
        cfg.model.test_cfg = dict(mode='whole')
    if full and name == FULL[1]:
        two = load_config('zsseg_clip_base_voc.py').model
        regions = {**two.regions, 'encoder': {**two.regions.encoder, **RANDOM}, 'text': None}
        cfg.model.update(type=two.type, regions=regions, ensemble_weight=two.ensemble_weight)
    return MODELS.build(cfg.model).eval()


@torch.no_grad()
def seconds(models, size, repeats):
    """Medians of processor seconds of each model on one image, in turn."""
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    taken = [[] for _ in models]
    for _ in range(repeats + 1):
        for times, model in zip(taken, models, strict=True):
            begun = time.process_time()
            model.whole_inference(image)
            times.append(time.process_time() - begun)
    return [statistics.median(times[1:]) for times in taken]  # the first warms up


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--full', action='store_true', help='sizes of the papers')
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    names, size = (FULL, (512, 512)) if args.full else (TINY, (128, 256))
    models = [model_of(name, args.full) for name in names]
    one, two = seconds(models, size, args.repeats)
    first = models[1]
    first.use_regions = False
    (alone,) = seconds([first], size, args.repeats)
    print(f'{names[0]}: {one:.3f} s an image')  # noqa: T201
    print(f'{names[1]}, two stages: {two:.3f} s, {two / one:.2f} times')  # noqa: T201
    print(f'its first stage alone: {alone:.3f} s, {alone / one:.2f} times')  # noqa: T201


if __name__ == '__main__':
    main()
