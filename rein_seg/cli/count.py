"""Counts parameters: method, neck and head, trainable, frozen.

Prints a markdown table, a row for each config. Needs no weights file and little
memory.
"""

import argparse

from rein_seg.cli.arguments import add_json, add_options

EXAMPLES = """example:
  rein-seg count rein_dinov2_gtav lora_dinov2_gtav full_dinov2_gtav"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('config', nargs='+', help='config files or names of shipped configs')
    add_json(parser, 'counts')
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Prints the table."""
    from pathlib import Path

    from rein_seg.apis import load_config
    from rein_seg.checkpoint import write_json
    from rein_seg.export.count import count, count_table

    counts = {
        Path(path).stem: count(load_config(path, cfg_options=args.cfg_options))
        for path in args.config
    }
    print(count_table(counts))
    if args.json:
        write_json(args.json, counts)
