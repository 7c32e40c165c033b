#!/usr/bin/env python
"""Times training steps of Conv-LoRA on SAM: our forms against plain ones, in one run.

python tools/benchmark_sam.py configs/conv_lora_sam_base_polyp.py --size 1024
"""

import argparse
import json
import sys


def parse_args():
    parser = argparse.ArgumentParser(
        description='Times training steps on a random image with random weights: ours, with every '
        'expert on every row, and with attention whose (N, N) scores are held in memory, in turn. '
        'Prints median seconds, peak memory over the model (MiB) and ratios to ours.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    base = 'configs/conv_lora_sam_base_polyp.py'
    parser.add_argument('config', nargs='?', default=base, help='config file')
    parser.add_argument('--size', type=int, default=1024, help='side of the image in pixels')
    parser.add_argument('--repeats', type=int, default=3, help='timed steps of each way')
    parser.add_argument('--json', metavar='FILE', help='write the figures here, too')
    return parser.parse_args()


def main():
    args = parse_args()
    from rein_seg.bench.sam import benchmark_sam
    from rein_seg.checkpoint import write_json

    figures = benchmark_sam(args.config, size=args.size, repeats=args.repeats, report=print)
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
