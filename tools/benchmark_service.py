#!/usr/bin/env python
"""Measure adapters on one encoder: python tools/benchmark_service.py configs/rein_tiny_camvid.py"""

import argparse
import json
import sys


def parse_args():
    parser = argparse.ArgumentParser(
        description='Measures one encoder with several adapters (AdapterService) against as many '
        'separately loaded models: memory that loading takes, each in processes of its own and in '
        'turn, and the time of a switch against that of loading a model. Prints ratios and '
        'medians. Adapters are as they are drawn: none has to be trained first.',
        epilog='example, without a weights file: tools/benchmark_service.py '
        'configs/frozen_dinov2_gtav.py --cfg-options model.backbone.encoder.arch=base '
        'model.backbone.encoder.checkpoint=None model.backbone.encoder.init_seed=0',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    tiny = 'configs/rein_tiny_miniscapes.py'
    parser.add_argument('config', nargs='?', default=tiny, help='config file')
    parser.add_argument(
        '--methods', nargs='+', default=['Rein', 'LoRA', 'DoRA', 'SSF', 'BitFit'],
        help='method of each adapter',
    )  # fmt: skip
    parser.add_argument('--size', type=int, nargs=2, default=[512, 512], help='of the image')
    parser.add_argument('--repeats', type=int, default=3, help='processes of each way')
    parser.add_argument('--json', metavar='FILE', help='write the figures here, too')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='override parts of the config',
    )
    parser.add_argument('--way', choices=['shared', 'separate'], help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = parse_args()
    from mmengine.config import DictAction

    from rein_seg.bench.service import benchmark_service, measure
    from rein_seg.checkpoint import write_json

    if args.way:  # one process of the measurement
        parser = argparse.ArgumentParser()
        parser.add_argument('--options', nargs='*', action=DictAction, default={})
        options = parser.parse_args(['--options', *args.cfg_options]).options
        said = measure(args.way, args.config, args.methods, options, tuple(args.size))
        print(json.dumps(said))
        return
    figures = benchmark_service(
        args.config,
        methods=args.methods,
        cfg_options=args.cfg_options,
        repeats=args.repeats,
        size=tuple(args.size),
        report=lambda line: print(line, file=sys.stderr),
    )
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
