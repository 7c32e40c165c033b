"""Measures one encoder with several adapters beside separate models.

The memory that loading takes, each way in processes of its own and in turn, and
the time of a switch (AdapterService) against the time to load a model. Prints
ratios and medians. The adapters are drawn: none has to be trained first.
"""

import argparse
import json
import sys

from rein_seg.cli.arguments import add_config, add_json

EXAMPLES = """example, without a weights file:
  rein-seg benchmark-service frozen_dinov2_gtav --cfg-options model.backbone.encoder.arch=base \\
      model.backbone.encoder.checkpoint=None model.backbone.encoder.init_seed=0"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser, default='rein_tiny_miniscapes')
    parser.add_argument(
        '--methods',
        nargs='+',
        default=['Rein', 'LoRA', 'DoRA', 'SSF', 'BitFit'],
        help='method of each adapter (default: Rein LoRA DoRA SSF BitFit)',
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=[512, 512],
        metavar=('H', 'W'),
        help='of the image (default: 512 512)',
    )
    parser.add_argument(
        '--repeats', type=int, default=3, help='processes of each way (default: %(default)s)'
    )
    add_json(parser)
    # words, not values: they go on to the processes as they are
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='override parts of the config',
    )
    parser.add_argument('--way', choices=['shared', 'separate'], help=argparse.SUPPRESS)


def main(args: argparse.Namespace) -> None:
    """Measures and prints the figures; with ``--way`` it is one process of a measurement."""
    from rein_seg.bench.service import benchmark_service, measure
    from rein_seg.checkpoint import write_json

    if args.way:
        said = measure(
            args.way, args.config, args.methods, _values(args.cfg_options), tuple(args.size)
        )
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


def _values(words: list[str]) -> dict:
    from rein_seg.cli.arguments import add_options

    parser = argparse.ArgumentParser()
    add_options(parser)
    return parser.parse_args(['--cfg-options', *words] if words else []).cfg_options or {}
