"""Pretrains a small image tower and text tower with captions of drawn streets.

The captions are generated; no label maps are read. Leaves tinyclip.safetensors
in the work folder; rein-seg zero-shot measures how good it is.
"""

import argparse

INTERRUPTED = 'go on with --resume'
EXAMPLES = """example:
  rein-seg pretrain-tinyclip --budget small"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    parser.add_argument(
        '--budget',
        default='full',
        choices=['full', 'small', 'smoke'],
        help='full: how the weights in the package were made; small: a fifth of the steps',
    )
    parser.add_argument(
        '--work-dir', help='folder of the run (default: work_dirs/pretrain_tinyclip_BUDGET)'
    )
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument('--device', help='cpu or cuda (default: a GPU where there is one)')
    parser.add_argument('--workers', type=int, help='processes that draw and describe streets')
    parser.add_argument('--seed', type=int, help='of streets, looks, captions and initial weights')
    parser.add_argument('--steps', type=int, help="optimiser steps, in place of the budget's")
    parser.add_argument('--lr', type=float, help='peak learning rate')
    parser.add_argument('--save-every', type=int, help='steps from a checkpoint to the next')


def main(args: argparse.Namespace) -> None:
    """Pretrains and prints the digest of the weights."""
    from rein_seg.pretrain.captions.run import pretrain_clip

    made = pretrain_clip(
        args.work_dir or f'work_dirs/pretrain_tinyclip_{args.budget}',
        budget=args.budget,
        resume=args.resume,
        device=args.device,
        workers=args.workers,
        seed=args.seed,
        steps=args.steps,
        lr=args.lr,
        save_every=args.save_every,
    )
    print(f'{made["weights"]}: {made["steps"]} steps, SHA-256 {made["sha256"]}')
