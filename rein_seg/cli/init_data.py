"""Looks at a folder of own images and labels, and writes its data file.

Finds images with masks (in folders, or by the ends of names), or with polygons of
COCO, LabelMe or CVAT, which are drawn to masks; the classes that the labels show;
domains and splits. Writes DIR/data.yaml, which `rein-seg train --data` reads; look
at it, and correct the names.
"""

import argparse
import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rein_seg.cli.exits import Exit

if TYPE_CHECKING:
    from rein_seg.bands import Bands

_MANY, _MOST_LINES = 3, 40
EXAMPLES = """examples:
  rein-seg init-data my_images
  rein-seg init-data my_images --classes names.txt --source day
  rein-seg init-data coco_export --unlabelled ignore
  rein-seg init-data my_fields --bands red,green,blue,nir,height
  rein-seg train --data my_images/data.yaml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('folder', metavar='DIR', help='folder with images and labels')
    parser.add_argument(
        '--out', metavar='FILE', help='the data file, never overwritten (default: DIR/data.yaml)'
    )
    parser.add_argument('--name', help="name of the data (default: the folder's)")
    parser.add_argument(
        '--classes',
        metavar='FILE',
        help='names of the classes: a line each, "road", "7 road" (id) or "road 128 64 128" '
        '(colour); or JSON or YAML',
    )
    parser.add_argument(
        '--unlabelled',
        choices=['background', 'ignore'],
        default='background',
        help='pixels outside of all polygons: a class, or ignored',
    )
    parser.add_argument(
        '--source', metavar='DOMAIN', help='domain that trains (default: those with a train split)'
    )
    parser.add_argument(
        '--bands',
        metavar='NAME,NAME,...',
        help='names of the bands of images that are not RGB, in the order of the files; mean and '
        'std of each are computed and written, too',
    )
    parser.add_argument(
        '--axes',
        choices=['HWC', 'CHW'],
        help='order of the axes in .npy files and in TIFF files that are stacks of pages',
    )
    parser.add_argument('--nodata', help="value of pixels without data, or 'nan'")


def _left_out(skipped: Mapping[str, str]) -> list[str]:
    """Returns a line for each file, or for many of one folder that are left out alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for path, reason in skipped.items():
        alike.setdefault((posixpath.dirname(path), reason), []).append(path)
    lines = []
    for (folder, reason), paths in alike.items():
        if len(paths) > _MANY:
            some = ', '.join(posixpath.basename(path) for path in paths[:_MANY])
            lines.append(f'  {folder or "."}/: {len(paths)} times {reason}: {some}, ...')
        else:
            lines += [f'  {path}: {reason}' for path in paths]
    more = len(lines) - _MOST_LINES
    return lines if more <= 0 else [*lines[:_MOST_LINES], f'  ... and {more} more lines']


def _bands(args: argparse.Namespace) -> 'Bands | None':
    from rein_seg.bands import Bands
    from rein_seg.errors import UserError

    beside = {key: getattr(args, key) for key in ('axes', 'nodata')}
    if args.bands is None:
        for key, value in beside.items():
            if value is not None:
                raise UserError(
                    f'--{key} {value} without --bands has no effect: expected the names of the '
                    'bands, such as --bands red,green,blue,nir'
                )
        return None
    try:
        beside['nodata'] = beside['nodata'] and float(beside['nodata'])
    except ValueError:
        raise UserError(f"--nodata {args.nodata}: expected a number, or 'nan'") from None
    if beside['nodata'] is not None and beside['nodata'] != beside['nodata']:
        beside['nodata'] = 'nan'  # as data files have it
    return Bands.of({'names': [name.strip() for name in args.bands.split(',')], **beside})


def main(args: argparse.Namespace) -> int:
    """Looks and writes; returns 3 if images or labels were left out."""
    from rein_seg.own_data import init_data

    done = init_data(
        args.folder,
        out=args.out,
        name=args.name,
        classes=args.classes,
        unlabelled=args.unlabelled,
        source=args.source,
        bands=_bands(args),
    )
    print(done.report)
    if done.skipped:
        print(f'\nleft out: {len(done.skipped)}')
        print('\n'.join(_left_out(done.skipped)))
    print(f'\nwrote {done.file}: look at the names and splits in it, then\n')
    print(f'  rein-seg train --data {done.file}')
    return Exit.SKIPPED if done.skipped else Exit.DONE
