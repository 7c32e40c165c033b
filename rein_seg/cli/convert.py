"""Converts between official Rein checkpoints and adapter files.

Bit for bit. The name of the target says into what: .safetensors is an adapter
file, .pth the official layout. The encoder of the config must be there: weights
that do not belong to it are refused.
"""

import argparse

from rein_seg.cli.arguments import add_config, add_options

EXAMPLES = """examples:
  rein-seg convert rein_dinov2_gtav dinov2_rein_and_head.pth adapter.safetensors
  rein-seg convert rein_dinov2_gtav work_dirs/rein_dinov2_gtav/adapter.safetensors official.pth"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
    parser.add_argument(
        'source', help='official checkpoint (.pth), adapter.safetensors, or training checkpoint'
    )
    parser.add_argument('target', help='file to write: .safetensors or .pth')
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Converts."""
    from rein_seg.apis import load_config
    from rein_seg.export.convert import convert

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    print(convert(cfg, args.source, args.target))
    print(f'wrote {args.target}')
