"""Merges the method of an adapter into the encoder's weights.

Writes them as an ordinary weights file; beside it an adapter file of neck and
head alone, and the config that the two go with. LoRA, DoRA, VeRA, PEGO, SoMA,
SVF, SSF, BitFit and Full can be merged; a method that cannot says why, and
nothing is written.
"""

import argparse

from rein_seg.cli.arguments import add_config, add_options

EXAMPLES = """example:
  rein-seg merge lora_dinov2_gtav work_dirs/lora_dinov2_gtav/adapter.safetensors \\
      --out merged/dinov2_lora.safetensors
  rein-seg test merged/dinov2_lora_config.py merged/dinov2_lora_adapter.safetensors"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
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
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Merges and prints what was written."""
    from rein_seg.apis import load_config
    from rein_seg.export.merge import merge

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    merged = merge(cfg, args.adapter, args.out, layout=args.layout)
    print(f'merged: features differ by {merged.difference:.1e} of the largest from unmerged ones')
    for note in merged.notes:
        print(note)
    print(f'wrote {merged.encoder} ({merged.layout} layout), {merged.adapter}, {merged.config}')
