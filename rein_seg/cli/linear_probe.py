"""Scores a linear classifier on frozen features, for each domain.

Prints the mIoU of a classifier that is trained on the source: on pretrained
features, and with --random on features of random weights, too.
"""

import argparse

from rein_seg.cli.arguments import add_config, add_json, add_options

EXAMPLES = """example:
  rein-seg linear-probe rein_tiny_miniscapes --random"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
    parser.add_argument('--random', action='store_true', help='a row for random weights, too')
    parser.add_argument(
        '--checkpoint', nargs='+', default=[], metavar='FILE', help='rows for these weights, too'
    )
    parser.add_argument(
        '--source-only', action='store_true', help='leave the targets out, for choices by the score'
    )
    parser.add_argument(
        '--images', type=int, default=200, help='training images of the source (default: 200)'
    )
    add_json(parser, 'scores')
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Prints the table."""
    from rein_seg.apis import load_config
    from rein_seg.checkpoint import write_json
    from rein_seg.config.task import check_segments
    from rein_seg.pretrain.linear_probe import linear_probe, probe_table

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    check_segments(cfg, 'rein-seg linear-probe')
    shared = dict(source_only=args.source_only, images=args.images)
    results = {'of the config': linear_probe(cfg, **shared)}
    if args.random:
        results['random'] = linear_probe(cfg, random=True, **shared)
    for path in args.checkpoint:
        results[path] = linear_probe(cfg, checkpoint=path, **shared)
    print(probe_table(results))
    if args.json:
        write_json(args.json, results)
