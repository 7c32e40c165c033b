#!/usr/bin/env python
"""Fold an adapter into its encoder: python tools/merge.py CONFIG adapter.safetensors"""

import argparse
import sys


def parse_args():
    from rein_seg.cli import add_common

    parser = argparse.ArgumentParser(
        description="Folds the method of an adapter into the encoder's weights and writes them as "
        'an ordinary weights file; beside it an adapter file of neck and head alone, and the '
        'config that the two go with. LoRA, DoRA, VeRA, PEGO, SoMA, SVF, SSF, BitFit and Full can '
        'be folded; a method that cannot says why, and nothing is written.',
        epilog='example: tools/merge.py configs/lora_dinov2_gtav.py '
        'work_dirs/lora_dinov2_gtav/adapter.safetensors --out merged/dinov2_lora.safetensors; then '
        'tools/test.py merged/dinov2_lora_config.py merged/dinov2_lora_adapter.safetensors',
    )
    parser.add_argument('config', help='config file of the model')
    parser.add_argument('adapter', help='adapter.safetensors, or a checkpoint')
    parser.add_argument(
        '--out',
        metavar='FILE',
        help='encoder file to write, .safetensors or .pth (default: merged_encoder.safetensors '
        'beside the adapter)',
    )
    parser.add_argument(
        '--layout',
        help="official: names and sizes of the encoder's own file, all its tensors (default where "
        "there is one); mmpretrain: names of mmpretrain's class, in the encoder's sizes",
    )
    add_common(parser, runs=False)
    return parser.parse_args()


def main():
    args = parse_args()
    from rein_seg.apis import load_config
    from rein_seg.export.merge import merge

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    merged = merge(cfg, args.adapter, args.out, layout=args.layout)
    print(f'merged: features differ by {merged.difference:.1e} of the largest from unmerged ones')
    for note in merged.notes:
        print(note)
    print(f'wrote {merged.encoder} ({merged.layout} layout), {merged.adapter}, {merged.config}')


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
