#!/usr/bin/env python
"""Probe an encoder: python tools/linear_probe.py configs/rein_tiny_miniscapes.py"""

import argparse
import sys


def parse_args():
    from rein_seg.cli import add_common

    parser = argparse.ArgumentParser(
        description='Prints the mIoU of a linear classifier on frozen features of the source, for '
        'each domain: pretrained features, and random ones of the same encoder with --random.'
    )
    parser.add_argument('config', help='config file, such as configs/rein_tiny_miniscapes.py')
    parser.add_argument('--random', action='store_true', help='a row for random weights, too')
    parser.add_argument(
        '--checkpoint', nargs='+', default=[], metavar='FILE', help='rows for these weights, too'
    )
    parser.add_argument(
        '--source-only', action='store_true', help='leave the targets out, for choices by the score'
    )
    parser.add_argument('--images', type=int, default=200, help='training images of the source')
    parser.add_argument('--json', metavar='FILE', help='write all scores here, too')
    add_common(parser, runs=False)
    return parser.parse_args()


def main():
    args = parse_args()
    from rein_seg.apis import load_config
    from rein_seg.checkpoint import write_json
    from rein_seg.pretrain.linear_probe import linear_probe, probe_table

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    shared = dict(source_only=args.source_only, images=args.images)
    results = {'of the config': linear_probe(cfg, **shared)}
    if args.random:
        results['random'] = linear_probe(cfg, random=True, **shared)
    for path in args.checkpoint:
        results[path] = linear_probe(cfg, checkpoint=path, **shared)
    print(probe_table(results))
    if args.json:
        write_json(args.json, results)


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
