"""Scores an encoder and its text tower without any training, for each domain.

Prints how often the caption of a held-out crop of a drawn street is found, and
the mIoU of naming each patch by the class whose name is most like it.
"""

import argparse

from rein_seg.cli.arguments import add_config, add_json, add_options

EXAMPLES = """example:
  rein-seg zero-shot zegclip_tiny_miniscapes --random"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
    parser.add_argument(
        '--random', action='store_true', help='a row for an image tower of random weights, too'
    )
    parser.add_argument(
        '--checkpoint', nargs='+', default=[], metavar='FILE', help='rows for these weights, too'
    )
    parser.add_argument('--templates', default='plain', help='sentences around a class name')
    parser.add_argument(
        '--crops', type=int, default=500, help='crops for the retrieval of captions (default: 500)'
    )
    parser.add_argument(
        '--source-only', action='store_true', help='leave the targets out, for choices by the score'
    )
    add_json(parser, 'scores')
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Prints the tables."""
    from rein_seg.apis import load_config
    from rein_seg.checkpoint import write_json
    from rein_seg.config.task import check_segments
    from rein_seg.pretrain.captions.tables import zero_shot_tables
    from rein_seg.pretrain.captions.zero_shot import zero_shot

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    check_segments(cfg, 'rein-seg zero-shot')
    shared = dict(templates=args.templates, crops=args.crops, source_only=args.source_only)
    own = cfg.model.backbone.encoder.get('checkpoint') is not None
    results = {}
    if own or not args.checkpoint:
        results['of the config'] = zero_shot(cfg, **shared)
    for path in args.checkpoint:
        results[path] = zero_shot(cfg, checkpoint=path, **shared)
    if args.random:
        first = None if own else args.checkpoint[0]
        results['random'] = zero_shot(cfg, checkpoint=first, random=True, **shared)
    print(zero_shot_tables(results))
    if args.json:
        write_json(args.json, results)
