"""Writes the page of a finished run again: report.html.

It is made of results.json, report.json and the log in the folder, without the
model. A run of an earlier version has no report.json: its page has the scores
and the curves.
"""

import argparse

EXAMPLES = """example:
  rein-seg report work_dirs/rein_tiny_miniscapes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument('run', nargs='+', help='folder of a run')


def main(args: argparse.Namespace) -> None:
    """Writes the pages."""
    from rein_seg.run.report import report

    for folder in args.run:
        print(f'wrote {report(folder)}')
