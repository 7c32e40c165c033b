#!/usr/bin/env python
"""Train a config: python tools/train.py configs/rein_tiny_miniscapes.py"""

import argparse
import sys


def parse_args():
    from rein_seg.cli import add_common

    parser = argparse.ArgumentParser(
        description='Trains a config. Leaves log, config, checkpoints, results.json, '
        'adapter.safetensors and overview.png in the work folder.'
    )
    parser.add_argument('config', help='config file, such as configs/rein_tiny_miniscapes.py')
    parser.add_argument(
        '--resume', action='store_true', help='go on from the newest checkpoint of the work folder'
    )
    parser.add_argument(
        '--inference-cost',
        action='store_true',
        help='time inference, too: as trained, with the method merged, and the frozen encoder',
    )
    add_common(parser)
    return parser.parse_args()


def main():
    args = parse_args()
    from rein_seg.apis import load_config, train

    cfg = load_config(args.config, work_dir=args.work_dir, cfg_options=args.cfg_options)
    train(
        cfg,
        resume=args.resume,
        amp=args.amp,
        launcher=args.launcher,
        inference_cost=args.inference_cost,
    )


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
