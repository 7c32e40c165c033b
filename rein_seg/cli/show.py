"""Shows each value of a config and who set it.

Prints a line for each value: its dotted key, the value, and who set it: a config
file, a benchmark, a protocol, an option, or a step that fills a gap. With a key, the
arguments that its class has by default follow; without, the last line names the
protocol and the deviations from it. Builds nothing and reads no data.
"""

import argparse

from rein_seg.cli.arguments import add_config, add_options

EXAMPLES = """examples:
  rein-seg show rein_dinov2_gtav
  rein-seg show rein_dinov2_gtav optim_wrapper
  rein-seg show rein_tiny_miniscapes model.crop_size --cfg-options model.crop_size=[64,64]"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
    parser.add_argument(
        'key', nargs='?', help='show this part alone, such as model.backbone (default: all)'
    )
    parser.add_argument('--protocol', metavar='NAME', help="in place of the config's own protocol")
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Prints the lines."""
    import rein_seg.apis  # noqa: F401  registers everything
    from rein_seg.config.describe import describe
    from rein_seg.config.request import Request
    from rein_seg.config.resolve import resolve

    request = Request(options=args.cfg_options or {}, protocol=args.protocol)
    print('\n'.join(describe(resolve(args.config, request), args.key)))
