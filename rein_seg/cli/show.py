"""Shows each value of a config and who set it.

Prints a line for each value: its dotted key, the value, and who set it: a config
file, a benchmark, a protocol, an option, or a step that fills a gap. With a key, the
arguments that its class has by default follow; without, the last line names the
protocol and the deviations from it. Builds nothing and reads no data.
"""

import argparse

from rein_seg.cli.arguments import add_options
from rein_seg.cli.own_data import add_own_data, source_of

EXAMPLES = """examples:
  rein-seg show rein_dinov2_gtav
  rein-seg show rein_dinov2_gtav optim_wrapper
  rein-seg show --data data.yaml --encoder dinov2_base --as-config town.py
  rein-seg show rein_tiny_miniscapes model.crop_size --cfg-options model.crop_size=[64,64]"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_own_data(parser)
    parser.add_argument(
        'key', nargs='?', help='show this part alone, such as model.backbone (default: all)'
    )
    parser.add_argument('--protocol', metavar='NAME', help="in place of the config's own protocol")
    parser.add_argument(
        '--as-config',
        metavar='FILE',
        help='write the config into a new file, to go on editing, and show nothing: with --data '
        'the short generated config, else the whole resolved config',
    )
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Prints the lines."""
    import rein_seg.apis  # noqa: F401  registers everything
    from rein_seg.checkpoint import write_new
    from rein_seg.config.describe import describe
    from rein_seg.config.request import Request
    from rein_seg.config.resolve import resolve
    from rein_seg.errors import UserError

    source, options = source_of(args)
    request = Request(options=options, protocol=args.protocol)
    resolved = resolve(source, request)
    if args.as_config is None:
        print('\n'.join(describe(resolved, args.key)))
        return
    generated = not isinstance(source, str)
    if generated and (options or args.protocol):
        raise UserError(
            '--as-config writes the generated config without --cfg-options and --protocol: leave '
            'them out, and edit the file'
        )
    write_new(args.as_config, source.text if generated else resolved.cfg.pretty_text)
    print(f'wrote {args.as_config}: rein-seg train {args.as_config}')
