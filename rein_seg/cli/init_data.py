"""Looks at a folder of own images and labels, and writes its data file.

Finds images with masks (in folders, or by the ends of names), or with polygons of
COCO, LabelMe or CVAT, which are drawn to masks; the classes that the labels show;
domains and splits. Writes DIR/data.yaml, which `rein-seg train --data` reads; look
at it, and correct the names.
"""

import argparse

from rein_seg.cli.exits import Exit

EXAMPLES = """examples:
  rein-seg init-data my_images
  rein-seg init-data my_images --classes names.txt --source day
  rein-seg init-data coco_export --unlabelled ignore
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
    )
    print(done.report)
    if done.skipped:
        print(f'\nleft out: {len(done.skipped)}')
        for path, reason in list(done.skipped.items())[:20]:
            print(f'  {path}: {reason}')
        if len(done.skipped) > 20:
            print(f'  ... and {len(done.skipped) - 20} more')
    print(f'\nwrote {done.file}: look at the names and splits in it, then\n')
    print(f'  rein-seg train --data {done.file}')
    return Exit.SKIPPED if done.skipped else Exit.DONE
