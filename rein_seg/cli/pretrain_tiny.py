"""Pretrains the small encoder on drawn streets, without labels.

The streets come under random looks. Leaves tiny_vit.safetensors in the work
folder; rein-seg linear-probe measures how good it is.
"""

import argparse

from rein_seg.cli.pretraining import add_pretraining_arguments, run_pretraining

FOLDER = 'work_dirs/pretrain_tiny'
INTERRUPTED = 'go on with --resume'
EXAMPLES = """example:
  rein-seg pretrain-tiny --budget small"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_pretraining_arguments(parser, FOLDER)


def main(args: argparse.Namespace) -> None:
    """Pretrains and prints the digest of the weights."""
    from rein_seg.pretrain.run import pretrain

    run_pretraining(pretrain, args, FOLDER)
