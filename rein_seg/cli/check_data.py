"""Reads all images and labels of a benchmark and reports faults.

Leaves check_data.json and overlays.png in the folder of --out. The exit code is
1 if there are faults.
"""

import argparse

from rein_seg.cli.arguments import add_options, positive

EXAMPLES = """examples:
  rein-seg check-data gtav_to_urban --data-root data
  rein-seg check-data data.yaml     # own data
  rein-seg check-data data          # all data sets of the benchmarks that lie there"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        'name',
        metavar='NAME|DATA.YAML|CONFIG|DIR',
        help='a benchmark (a file of configs/_base_/benchmarks), a data file, a config, or a '
        'folder with data sets of benchmarks in it',
    )
    parser.add_argument('--data-root', help="in the place of the config's data_root")
    parser.add_argument('--out', help='folder for the files (default: work_dirs/check_data/NAME)')
    parser.add_argument('--workers', type=positive, help='threads (default: one a core, 8 at most)')
    parser.add_argument(
        '--duplicates', action='store_true', help='look for training images among the others, too'
    )
    parser.add_argument(
        '--statistics',
        action='store_true',
        help='compute mean and std of the bands of a data file over its training images, and write '
        'them into the file',
    )
    parser.add_argument('--json', action='store_true', help='print the report as json')
    add_options(parser)


def _write_statistics(args: argparse.Namespace) -> None:
    from rein_seg.config.data_file import is_data_file
    from rein_seg.errors import UserError
    from rein_seg.own_data.band_statistics import write_statistics

    if not is_data_file(args.name) or args.data_root or args.cfg_options:
        raise UserError(
            f'--statistics with {args.name!r}: expected a data file alone, which they are written '
            'into, such as data.yaml'
        )
    bands = write_statistics(args.name)
    for name, mean, std in zip(bands.names, bands.mean, bands.std, strict=True):
        print(f'band {name}: mean {mean:g}, std {std:g}')


def main(args: argparse.Namespace) -> int:
    """Checks; returns 1 if there are faults."""
    import json
    from pathlib import Path

    from rein_seg import data_check as doctor

    name = Path(args.name).resolve().stem
    if args.statistics:
        _write_statistics(args)
    parts = doctor.read_parts(args.name, data_root=args.data_root, cfg_options=args.cfg_options)
    checks = doctor.check_data(parts, workers=args.workers, duplicates=args.duplicates)
    paths = doctor.write_report(args.out or f'work_dirs/check_data/{name}', name, checks)
    if args.json:
        print(json.dumps(doctor.report(name, checks)))
    else:
        print(doctor.report_text(name, checks))
        print('\n'.join(f'wrote {path}' for path in paths))
    return int(any(check.wrong for check in checks))
