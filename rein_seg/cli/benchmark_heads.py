"""Times decode heads on the same encoders and method, in turn.

A training step, one window, and a slide over an image of two windows, with
random weights: median seconds, the ratio to the first head, FLOPs, the least
time that they take at the machine's measured rate, and the peak memory of a
step, each head in a process of its own. Prints Markdown tables.
"""

import argparse
import contextlib
import sys

from rein_seg.cli.arguments import add_json, add_options, positive

EXAMPLES = """examples:
  all heads on DINOv2-S and DINOv2-B with Rein
    rein-seg benchmark-heads
  two heads on one encoder, training steps alone
    rein-seg benchmark-heads rein_dinov2_small_gtav --heads Mask2Former EoMT-256 --works train"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        'configs',
        nargs='*',
        metavar='CONFIG',
        help='configs whose head is exchanged (default: rein_dinov2_small_gtav and '
        'rein_dinov2_base_gtav)',
    )
    parser.add_argument(
        '--heads',
        nargs='+',
        metavar='HEAD',
        help='heads to measure, the first to compare with (default: Mask2Former EoMT EoMT-256 PMT '
        'linear UPerNet); EoMT-256 is EoMT with upscale_channels=256',
    )
    parser.add_argument(
        '--works',
        nargs='+',
        default=['train', 'window', 'slide'],
        metavar='WORK',
        help='what to measure (default: train window slide)',
    )
    parser.add_argument(
        '--memory',
        nargs='*',
        default=['train'],
        metavar='WORK',
        help='works whose peak memory is measured (default: train; without a word none)',
    )
    parser.add_argument(
        '--size', type=positive, default=512, help='side of a window (default: %(default)s)'
    )
    parser.add_argument(
        '--repeats', type=positive, default=5, help='timed steps of each (default: %(default)s)'
    )
    parser.add_argument(
        '--warmup', type=positive, default=1, help='steps before these (default: %(default)s)'
    )
    parser.add_argument('--device', help='such as cpu (default: the first GPU, else the CPU)')
    parser.add_argument('--threads', type=positive, metavar='N', help="of PyTorch's operations")
    add_json(parser)
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Measures and prints the tables."""
    from rein_seg.bench.heads import ENCODERS, benchmark_heads, heads_tables
    from rein_seg.checkpoint import write_json

    with contextlib.redirect_stdout(sys.stderr):  # mmengine's log, too: stdout is for the tables
        figures = benchmark_heads(
            args.configs or ENCODERS,
            heads=args.heads,
            works=args.works,
            size=args.size,
            repeats=args.repeats,
            warmup=args.warmup,
            memory=args.memory,
            device=args.device,
            num_threads=args.threads,
            cfg_options=args.cfg_options,
        )
    if args.json:
        write_json(args.json, figures)
    print(heads_tables(figures))
