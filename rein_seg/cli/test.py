"""Evaluates an adapter or a checkpoint on the test domains of a config.

Leaves log, results.json and overview.png in the work folder.
"""

import argparse

from rein_seg.cli.arguments import add_config, add_run

EXAMPLES = """examples:
  rein-seg test rein_tiny_miniscapes work_dirs/rein_tiny_miniscapes/adapter.safetensors
  rein-seg test rein_dinov2_gtav adapter.safetensors --protocol rein512 --protocol rein1024"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
    parser.add_argument(
        'weights', help='adapter.safetensors, or a checkpoint (.pth), official ones too'
    )
    parser.add_argument(
        '--protocol',
        action='append',
        default=[],
        metavar='NAME',
        help='protocol of the benchmark to evaluate under (default: the one of the config); give '
        'it several times for several tables of one model',
    )
    parser.add_argument(
        '--out', help='folder for predictions as png files of class indexes; with --submit its zips'
    )
    parser.add_argument(
        '--data',
        metavar='FILE',
        help="data file of own data, in place of the config's benchmark; its classes must be the "
        "adapter's",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--show-dir', help='folder for predictions painted over the images')
    kind.add_argument(
        '--submit',
        metavar='SERVER',
        help='predict the images of a test server instead, and pack them for it: acdc, a zip for '
        'each condition (default folder: WORK_DIR/submit_SERVER)',
    )
    add_run(parser, work_dir='work_dirs/CONFIG_NAME/test')


def main(args: argparse.Namespace) -> None:
    """Evaluates, or packs predictions for a test server."""
    from rein_seg.apis import submit, test
    from rein_seg.config.request import Request
    from rein_seg.config.resolve import resolve

    # in a folder of its own: the results of the training run stay
    options = dict(args.cfg_options or {})
    if args.data is not None:
        options['benchmark'] = {'data': args.data}
    request = Request(work_dir=args.work_dir, subfolder='test', options=options)
    cfg = resolve(args.config, request).cfg
    common = dict(amp=args.amp, launcher=args.launcher)
    if args.submit:
        where = dict(server=args.submit, protocols=args.protocol, folder=args.out)
        submit(cfg, args.weights, **where, **common)
        return
    folders = dict(out=args.out, show_dir=args.show_dir)
    test(cfg, args.weights, protocols=args.protocol, **folders, **common)
