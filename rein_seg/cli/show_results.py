"""Prints the scores of finished runs of one benchmark side by side.

Also prints what trained each. Runs of one method with several seeds make one
row. To train several and compare what they cost, too: rein-seg compare.
"""

import argparse

EXAMPLES = """example:
  rein-seg show-results work_dirs/rein_tiny_miniscapes work_dirs/lora_tiny_miniscapes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('run', nargs='+', help='folder of a run, or its results.json')
    parser.add_argument(
        '--metric', nargs='+', default=[], metavar='KEY', help='scores to show: mIoU, aAcc, ...'
    )


def main(args: argparse.Namespace) -> None:
    """Prints the tables."""
    from rein_seg.compare import show_results

    print(show_results(args.run, metrics=args.metric))
