#!/usr/bin/env python
"""Check all data of a benchmark: python tools/check_data.py gtav_to_urban --data-root DIR

Of a folder it checks whatever data sets of the benchmarks lie in it.
"""

import argparse
import sys


def parse_args():
    from rein_seg.cli import add_common, positive

    parser = argparse.ArgumentParser(
        description='Reads every image and label of a benchmark and reports all that is wrong with '
        'them. Leaves check_data.json and overlays.png. Exit code 0: no fault, 1: faults, 2: bad '
        'usage.'
    )
    parser.add_argument(
        'name',
        metavar='NAME|CONFIG|DIR',
        help='file of configs/_base_/benchmarks, a config (.py), or a folder with data sets of '
        'benchmarks in it',
    )
    parser.add_argument('--data-root', help="in the place of the config's data_root")
    parser.add_argument('--out', help='folder for the files (default: work_dirs/check_data/NAME)')
    parser.add_argument('--workers', type=positive, help='threads (default: one a core, 8 at most)')
    parser.add_argument(
        '--duplicates', action='store_true', help='look for training images among the others, too'
    )
    parser.add_argument('--json', action='store_true', help='print the report as json')
    add_common(parser, runs=False)
    return parser.parse_args()


def main():
    args = parse_args()
    import json
    from pathlib import Path

    from rein_seg import data_check as doctor

    name = Path(args.name).resolve().stem
    parts = doctor.read_parts(args.name, data_root=args.data_root, cfg_options=args.cfg_options)
    checks = doctor.check_data(parts, workers=args.workers, duplicates=args.duplicates)
    paths = doctor.write_report(args.out or f'work_dirs/check_data/{name}', name, checks)
    if args.json:
        print(json.dumps(doctor.report(name, checks)))
    else:
        print(doctor.report_text(name, checks))
        print('\n'.join(f'wrote {path}' for path in paths))
    return int(any(check.wrong for check in checks))


if __name__ == '__main__':
    from rein_seg.cli import run

    sys.exit(run(main, interrupted='start it again'))
