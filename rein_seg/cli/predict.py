"""Predicts images, folders, videos and rasters of your own with an adapter.

The adapter file is enough: it holds config, classes and palette. Writes for each
image a class map DIR/NAME.png of the image's own size, an overlay with a legend
in DIR/overlays, and DIR/predictions.json. Maps of rasters with a georeference
are DIR/NAME.tif; frames of a video DIR/NAME/FRAME.png. The same command again
goes on where it was stopped. A model that classifies whole images writes a table,
DIR/predictions.csv: image, class, probability, and the next four classes.
"""

import argparse
import re
from typing import Any

from rein_seg.cli.arguments import positive
from rein_seg.cli.exits import Exit

EXAMPLES = """examples:
  rein-seg predict adapter.safetensors photo.jpg --out maps
  rein-seg predict adapter.safetensors trips/ 'more/*.png' clip.mp4 --out maps --scores
  rein-seg predict adapter.safetensors list.txt --out maps --tta --no-overlays
  rein-seg predict adapter.safetensors photo.jpg --out maps --classes "road, cyclist, tram"
  rein-seg predict adapter.safetensors trips/ --out maps --shard 1/2 --device cuda:0"""
INTERRUPTED = 'the same command goes on from here'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        'adapter',
        help='adapter.safetensors, the folder of a training run, a checkpoint (.pth), or an id of '
        'the Hugging Face hub',
    )
    parser.add_argument(
        'sources',
        nargs='+',
        metavar='SOURCE',
        help='image, video or raster; folder or zip, with all that is below; pattern in quotes; '
        'list (.txt) with a path a line, relative to the list; - reads a list from standard input',
    )
    parser.add_argument('--out', metavar='DIR', required=True, help='folder for the predictions')
    parser.add_argument(
        '--no-overlays',
        action='store_true',
        help='write no overlays (default: DIR/overlays/NAME.jpg, of videos NAME.mp4)',
    )
    parser.add_argument(
        '--scores',
        action='store_true',
        help='write probabilities, too: DIR/scores/NAME.npy, float16 of shape (classes, H, W)',
    )
    parser.add_argument(
        '--tta',
        nargs='*',
        type=float,
        metavar='SCALE',
        help='average over scales, plain and mirrored (default of SCALE: 0.75 1 1.25)',
    )
    parser.add_argument(
        '--classes',
        metavar='NAMES',
        help="classes in place of the training's, for a model that reads the names of classes: "
        "'road, cyclist, tram', or a file with a name a line; a line may be name = word, word, "
        'which reads the words in place of the name (between quotes: such parts, separated by ;)',
    )
    parser.add_argument(
        '--task',
        metavar='NAME',
        help='task to predict, for a model of several tasks (default: its first)',
    )
    parser.add_argument(
        '--max-tokens',
        type=positive,
        metavar='N',
        help='patches of the largest image that goes through in one piece; a larger image goes in '
        'overlapping tiles (default: 8192)',
    )
    parser.add_argument('--device', help='such as cuda:0 or cpu (default: the first GPU, else cpu)')
    parser.add_argument(
        '--every', type=positive, default=1, metavar='N', help='take each N-th frame of videos'
    )
    parser.add_argument(
        '--max-value',
        type=float,
        metavar='NUMBER',
        help='white, for images of more than 8 bits that do not use the full range of 16',
    )
    parser.add_argument(
        '--bands',
        nargs=3,
        type=positive,
        metavar='N',
        help='red, green and blue of rasters, from 1 (default: the bands named so, else 1 2 3)',
    )
    parser.add_argument(
        '--shard', type=shard, metavar='I/N', help='take the images I, I+N, ... of all, from 1'
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='predict anew, and replace what lies in DIR'
    )
    parser.add_argument(
        '--encoder-weights',
        metavar='FILE',
        help="the encoder's weights, if they lie elsewhere than in training",
    )
    parser.add_argument(
        '--config', help='config to use in place of the one in the file, for files without one'
    )


def shard(text: str) -> tuple[int, int]:
    """Returns (I, N) of ``I/N``, as the ``type`` of an argument.

    Raises:
        argparse.ArgumentTypeError: If the text is no such pair.

    Example:
        >>> from rein_seg.cli.predict import shard
        >>> shard('2/8')
        (2, 8)
    """
    match = re.fullmatch(r'(\d{1,9})/(\d{1,9})', text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f'{text!r}: expected I/N with I from 1 to N, such as 1/4')
    return int(match[1]), int(match[2])


def main(args: argparse.Namespace) -> int:
    """Predicts and prints a summary."""
    from rein_seg.inference.class_list import read_class_list
    from rein_seg.inference.image_table import check_table, write_table
    from rein_seg.inference.items import Settings
    from rein_seg.inference.loading import find_weights, load
    from rein_seg.inference.predict_files import predict_files
    from rein_seg.run.weights import task_of_weights

    classes = None if args.classes is None else read_class_list(args.classes)
    settings = Settings(
        overlays=not args.no_overlays,
        scores=args.scores,
        tta=False if args.tta is None else args.tta or True,
        max_tokens=args.max_tokens,
        every=args.every,
        max_value=args.max_value,
        bands=None if args.bands is None else tuple(args.bands),
        classes=None if classes is None else classes.lines,
        task=args.task,
    )
    weights = find_weights(args.adapter)
    options = dict(device=args.device, config=args.config, encoder_weights=args.encoder_weights)
    options['classes'] = classes
    if task_of_weights(str(weights)) == 'images':
        refuse_maps(args)
        path = check_table(args.out, overwrite=args.overwrite)
        predictor = load(weights, **options)
        return end(write_table(predictor, args.sources, path, max_value=args.max_value), args)
    options['task'] = args.task
    done = predict_files(
        str(weights),
        args.sources,
        args.out,
        settings,
        load=lambda: load(weights, **options),
        config=args.config,
        shard=args.shard,
        overwrite=args.overwrite,
    )
    return end(done, args)


def refuse_maps(args: argparse.Namespace) -> None:
    """Refuses options that have no effect on a table of the classes of images.

    Raises:
        UserError: If one is given.
    """
    from rein_seg.errors import UserError

    given = {
        '--no-overlays': args.no_overlays,
        '--scores': args.scores,
        '--tta': args.tta is not None,
        '--max-tokens': args.max_tokens is not None,
        '--every': args.every != 1,
        '--bands': args.bands is not None,
        '--shard': args.shard is not None,
        '--task': args.task is not None,
    }
    for name, is_there in given.items():
        if is_there:
            raise UserError(
                f'{name} is for maps of classes, and {args.adapter!r} is of a model that '
                'classifies whole images: leave it out'
            )


def end(done: Any, args: argparse.Namespace) -> int:
    """Prints the summary and the skipped inputs; returns the exit code.

    Args:
        done: Summary of the work.
        args: Of the command.

    Raises:
        UserError: If every input was skipped.
    """
    from rein_seg.errors import UserError

    if done.skipped and not done.predicted and not done.kept:
        raise UserError(
            f'none of {len(done.skipped)} inputs could be predicted; the first: {done.skipped[0]}'
        )
    print(f'{done}; wrote {args.out}')
    return Exit.SKIPPED if done.skipped else Exit.DONE
