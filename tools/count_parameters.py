#!/usr/bin/env python
"""Count parameters: python tools/count_parameters.py configs/rein_dinov2_gtav.py"""

import argparse
import sys


def parse_args():
    from rein_seg.cli import add_common

    parser = argparse.ArgumentParser(
        description='Prints a markdown table: parameters of method, of neck and head, trainable '
        'in all, and frozen, one row a config. Needs no weights file and little memory.'
    )
    parser.add_argument('config', nargs='+', help='config files')
    parser.add_argument('--json', metavar='FILE', help='write the counts here, too')
    add_common(parser, runs=False)
    return parser.parse_args()


def main():
    args = parse_args()
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


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main))
