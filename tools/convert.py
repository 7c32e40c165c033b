#!/usr/bin/env python
"""Convert weights: python tools/convert.py CONFIG dinov2_rein_and_head.pth adapter.safetensors"""

import argparse
import sys


def parse_args():
    from rein_seg.cli import add_common

    parser = argparse.ArgumentParser(
        description='Converts between the checkpoints of the official Rein repository and adapter '
        'files, bit for bit. The name of the target says into what: .safetensors is an adapter '
        'file, .pth the official layout. The encoder of the config must be there: weights that do '
        'not belong to it are refused.',
        epilog='examples: tools/convert.py configs/rein_dinov2_gtav.py '
        'dinov2_rein_and_head.pth adapter.safetensors; tools/convert.py '
        'configs/rein_dinov2_gtav.py work_dirs/rein_dinov2_gtav/adapter.safetensors official.pth',
    )
    parser.add_argument('config', help='config file of the model')
    parser.add_argument(
        'source', help='official checkpoint (.pth), adapter.safetensors, or training checkpoint'
    )
    parser.add_argument('target', help='file to write: .safetensors or .pth')
    add_common(parser, runs=False)
    return parser.parse_args()


def main():
    args = parse_args()
    from rein_seg.apis import load_config
    from rein_seg.export.convert import convert

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    print(convert(cfg, args.source, args.target))
    print(f'wrote {args.target}')


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
