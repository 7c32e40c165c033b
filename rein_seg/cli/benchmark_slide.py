"""Times sliding windows: in batches, and in mmseg's serial loop.

On one random image. Prints medians in seconds, their ratio and the largest
difference of the logits.
"""

import argparse
import json

from rein_seg.cli.arguments import add_config, add_json

EXAMPLES = """example:
  rein-seg benchmark-slide rein_tiny_camvid --size 512 1024 --crop 256 --stride 171"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser, default='rein_tiny_camvid')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=[512, 1024],
        metavar=('H', 'W'),
        help='height and width of the image (default: 512 1024)',
    )
    parser.add_argument(
        '--crop', type=int, default=256, help='side of a window in pixels (default: %(default)s)'
    )
    parser.add_argument(
        '--stride',
        type=int,
        default=171,
        help='pixels from window to window (default: %(default)s)',
    )
    parser.add_argument(
        '--batch-windows', type=int, default=4, help='windows at a time (default: %(default)s)'
    )
    parser.add_argument(
        '--repeats', type=int, default=5, help='timed calls of each way (default: %(default)s)'
    )
    add_json(parser)


def main(args: argparse.Namespace) -> None:
    """Measures and prints the figures."""
    from rein_seg.bench.slide import benchmark_slide
    from rein_seg.checkpoint import write_json

    figures = benchmark_slide(
        args.config,
        size=tuple(args.size),
        crop=args.crop,
        stride=args.stride,
        batch_windows=args.batch_windows,
        repeats=args.repeats,
    )
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))
