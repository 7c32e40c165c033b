#!/usr/bin/env python
"""Times sliding-window inference, windows in batches against mmseg's serial loop, in one run.

python tools/benchmark_slide.py configs/rein_tiny_camvid.py --size 512 1024 --crop 256 --stride 171
"""

import argparse
import json
import statistics
import sys
import time


def parse_args():
    parser = argparse.ArgumentParser(
        description='Times sliding-window inference on one random image: windows in batches '
        "against mmseg's serial loop, in turn. Prints medians in seconds, their ratio and the "
        'largest difference of the logits.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    tiny = 'configs/rein_tiny_camvid.py'
    parser.add_argument('config', nargs='?', default=tiny, help='config file')
    parser.add_argument(
        '--size', type=int, nargs=2, default=[512, 1024], help='height and width of the image'
    )
    parser.add_argument('--crop', type=int, default=256, help='side of a window in pixels')
    parser.add_argument('--stride', type=int, default=171, help='pixels from window to window')
    parser.add_argument('--batch-windows', type=int, default=4, help='windows at a time')
    parser.add_argument('--repeats', type=int, default=5, help='timed calls of each way')
    parser.add_argument('--json', metavar='FILE', help='write the figures here, too')
    return parser.parse_args()


def main():
    args = parse_args()
    import torch
    from mmseg.models.segmentors import EncoderDecoder

    from rein_seg.apis import init_model, load_config
    from rein_seg.checkpoint import write_json

    slide = dict(mode='slide', crop_size=(args.crop,) * 2, stride=(args.stride,) * 2)
    options = {'model.test_cfg': dict(slide, batch_windows=args.batch_windows)}
    model = init_model(load_config(args.config, cfg_options=options))
    device = next(model.parameters()).device
    torch.manual_seed(0)
    image = torch.randn(1, 3, *args.size, device=device)
    # mmseg writes the window's size into the metas, so every call gets its own
    ways = {
        'serial': lambda: EncoderDecoder.slide_inference(model, image, [dict(img_shape=args.size)]),
        'batched': lambda: model.slide_inference(image, [dict(img_shape=args.size)]),
    }
    times = {name: [] for name in ways}
    with torch.no_grad():
        outputs = {name: way() for name, way in ways.items()}
        for _ in range(args.repeats):  # A B A B: both see the same machine
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if device.type == 'cuda':
                    torch.cuda.synchronize()
                times[name].append(time.perf_counter() - start)
    ratios = [b / s for s, b in zip(times['serial'], times['batched'], strict=True)]
    figures = {
        'max_difference': (outputs['serial'] - outputs['batched']).abs().max().item(),
        'serial_s': statistics.median(times['serial']),
        'batched_s': statistics.median(times['batched']),
        'ratio': statistics.median(ratios),
        'ratio_range': [min(ratios), max(ratios)],
    }
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
