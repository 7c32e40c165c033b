"""Times the loading of training images: mmseg's transforms and ours.

The work of one worker of a loader for gtav_to_urban: read, map, resize, crop,
distort. In turn: mmseg's transforms on converted labels, mmseg's mapping raw
ids, ours on raw ids, ours with plain png readers, and ours with decoded
copies, compressed and raw. Checks that all make the same output. Prints
images/s, ratios to mmseg, ms of each step, and the share of the mapping.
"""

import argparse
import json

from rein_seg.cli.arguments import add_json

EXAMPLES = """example:
  rein-seg benchmark-loader --images 8 --repeats 5"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        '--images', type=int, default=8, help='images a round (default: %(default)s)'
    )
    parser.add_argument(
        '--repeats', type=int, default=5, help='timed rounds (default: %(default)s)'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=[1914, 1052],
        metavar=('W', 'H'),
        help='width and height of drawn images (default: 1914 1052)',
    )
    parser.add_argument(
        '--crop', type=int, default=512, help='side of the crop in pixels (default: %(default)s)'
    )
    parser.add_argument('--data-root', help='folder with gta/ in it, instead of drawn images')
    add_json(parser)


def main(args: argparse.Namespace) -> None:
    """Measures and prints the figures."""
    from rein_seg.bench.loader import benchmark_loader
    from rein_seg.checkpoint import write_json

    figures = benchmark_loader(
        images=args.images,
        repeats=args.repeats,
        size=args.size,
        crop=args.crop,
        data_root=args.data_root,
        report=print,
    )
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))
