"""Draws frames of a domain with the predictions of several runs side by side.

One picture, png or jpg: a row for each frame; image, truth and the prediction
of each run with the frame's mIoU; a legend of the classes. The adapter files
are enough, with the data of the domain.

Without --frames all frames of the domain are predicted, and the shown ones
have evenly spread ranks of the difference in mIoU between the last and the
first run: the lowest, the median, the highest. The picture says so.
"""

import argparse
import functools

from rein_seg.cli.arguments import positive

EXAMPLES = """examples:
  rein-seg compare-frames work_dirs/frozen work_dirs/full work_dirs/lora --domain night --out streets.jpg
  rein-seg compare-frames a.safetensors b.safetensors --domain kitti --frames 000003_10 000041_10 --out two.png
  rein-seg compare-frames work_dirs/frozen work_dirs/lora --images holiday/*.jpg --out holiday.jpg"""  # noqa: E501


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        'run',
        nargs='+',
        help='folder of a finished run, adapter file or checkpoint; all of one benchmark. The '
        'first and the last decide on the frames',
    )
    parser.add_argument('--out', required=True, metavar='FILE', help='the picture, in .png or .jpg')
    parser.add_argument('--domain', metavar='NAME', help='a domain that the runs are tested on')
    parser.add_argument(
        '--images',
        nargs='+',
        metavar='FILE',
        help='image files in place of a domain; all are shown, without truth',
    )
    parser.add_argument(
        '--frames', nargs='+', metavar='NAME', help='names of frames of the domain to show'
    )
    parser.add_argument(
        '--number',
        type=positive,
        default=3,
        metavar='N',
        help='frames to choose (default: %(default)s)',
    )
    parser.add_argument(
        '--names', nargs='+', metavar='NAME', help='of the runs (default: their methods)'
    )
    parser.add_argument(
        '--data-root',
        metavar='DIR',
        help="folder of the data (default: as the first run's file says, without absolute paths)",
    )
    parser.add_argument(
        '--width',
        type=positive,
        default=320,
        metavar='N',
        help='of an image in the picture, in pixels (default: %(default)s)',
    )
    parser.add_argument('--device', help='such as cuda:0 or cpu (default: the first GPU, else cpu)')


def main(args: argparse.Namespace) -> None:
    """Draws, and prints the frames with their scores."""
    from rein_seg.compare.frames import compare_frames

    drawn = compare_frames(
        args.run,
        args.out,
        domain=args.domain,
        images=args.images,
        frames=args.frames,
        number=args.number,
        names=args.names,
        data_root=args.data_root,
        width=args.width,
        device=args.device,
        say=functools.partial(print, flush=True),
    )
    if drawn['rule']:
        print(drawn['rule'])
    for name, frame in drawn['frames'].items():
        scores = ', '.join(
            f'{run} {score:.1f} %' for run, score in frame['scores'].items() if score is not None
        )
        print(f'{name}: {scores}' if scores else name)
    print(f'wrote {args.out}')
