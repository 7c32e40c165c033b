"""Times training steps of Conv-LoRA on SAM: our forms and plain ones.

On a random image with random weights, in turn: ours, with every expert on every
row, and with attention whose (N, N) scores are held in memory. Prints median
seconds, peak memory over the model (MiB) and ratios to ours.
"""

import argparse
import json

from rein_seg.cli.arguments import add_config, add_json

EXAMPLES = """example:
  rein-seg benchmark-sam conv_lora_sam_base_polyp --size 1024"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser, default='conv_lora_sam_base_polyp')
    parser.add_argument(
        '--size', type=int, default=1024, help='side of the image in pixels (default: %(default)s)'
    )
    parser.add_argument(
        '--repeats', type=int, default=3, help='timed steps of each way (default: %(default)s)'
    )
    add_json(parser)


def main(args: argparse.Namespace) -> None:
    """Measures and prints the figures."""
    from rein_seg.bench.sam import benchmark_sam
    from rein_seg.checkpoint import write_json

    figures = benchmark_sam(args.config, size=args.size, repeats=args.repeats, report=print)
    if args.json:
        write_json(args.json, figures)
    print(json.dumps(figures, indent=2))
