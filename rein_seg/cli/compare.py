"""Trains several methods with several seeds, results side by side.

All on one benchmark, one process a run. The tables have scores on source and
targets, parameters, time, memory, adapter size.

Leaves comparison.json, .md, .csv, .png and .html in the work folder, rewritten
each time a run ends, and every run in VARIANT/seed_N/; the page opens from
disk, without a network. The same command again runs only what is missing and
goes on with interrupted runs from their newest checkpoint. A run that fails
does not stop the others; the exit code is 1 then.

A config may say itself what to compare:
comparison = dict(peft=['Rein', 'LoRA'], seeds=[0, 1]).
"""

import argparse
import functools

from rein_seg.cli.arguments import add_options

INTERRUPTED = 'give the same command again to go on'
EXAMPLES = """examples:
  ten methods, two seeds, the embedded benchmark, as the config says:
    rein-seg compare compare_miniscapes
  three methods on one config, seeds 0, 1 and 2:
    rein-seg compare rein_tiny_miniscapes --peft ConvLoRA LoRA Frozen
  arguments, under a name of your own:
    rein-seg compare rein_tiny_miniscapes --peft LoRA 'LoRA4={"type": "LoRA", "rank": 4}'
  configs as they are, two scores:
    rein-seg compare rein_tiny_miniscapes lora_tiny_miniscapes --metric mIoU aAcc"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        'config', nargs='+', help='config files or names of shipped configs, all of one benchmark'
    )
    parser.add_argument(
        '--peft',
        nargs='+',
        metavar='TYPE|NAME=TYPE|NAME={JSON}',
        help="methods in place of the config's own, a variant each; JSON gives arguments, and the "
        "type where NAME is not one (default: the config's `comparison`, else the configs as they "
        'are)',
    )
    parser.add_argument(
        '--seeds', type=int, nargs='+', metavar='N', help="default: the config's, else 0 1 2"
    )
    parser.add_argument(
        '--metric',
        nargs='+',
        metavar='KEY',
        help='scores to show, a table each: mIoU, aAcc, Dice_image, ... as in results.json '
        '(default: hIoU, S and U with unseen classes, Dice_image for binary tasks, else mIoU)',
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        help='runs at a time; each has its own GPU if there are several (default: 1)',
    )
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument(
        '--other-code',
        action='store_true',
        help='take earlier runs in the folder that other code or package versions made; the tables '
        'say so',
    )
    parser.add_argument(
        '--work-dir',
        help='folder of the comparison (default: work_dirs/compare/CONFIG_NAME, several configs: '
        'the name of their benchmark)',
    )
    add_options(parser)


def main(args: argparse.Namespace) -> int:
    """Compares; returns 1 if a run failed."""
    from rein_seg.compare import compare

    comparison = compare(
        args.config,
        peft=args.peft,
        seeds=args.seeds,
        work_dir=args.work_dir,
        cfg_options=args.cfg_options,
        metrics=args.metric,
        jobs=args.jobs,
        amp=args.amp,
        other_code=args.other_code,
        say=functools.partial(print, flush=True),
    )
    return int(any(run['state'] == 'failed' for run in comparison['runs']))
