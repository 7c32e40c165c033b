"""Pretrains a small image tower and text tower with captions of drawn streets.

The captions are generated; no label maps are read. Leaves tinyclip.safetensors
in the work folder; rein-seg zero-shot measures how good it is.
"""

import argparse

from rein_seg.cli.pretraining import add_pretraining_arguments, run_pretraining

FOLDER = 'work_dirs/pretrain_tinyclip'
INTERRUPTED = 'go on with --resume'
EXAMPLES = """example:
  rein-seg pretrain-tinyclip --budget small"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_pretraining_arguments(parser, FOLDER)


def main(args: argparse.Namespace) -> None:
    """Pretrains and prints the digest of the weights."""
    from rein_seg.pretrain.captions.run import pretrain_clip

    run_pretraining(pretrain_clip, args, FOLDER)
