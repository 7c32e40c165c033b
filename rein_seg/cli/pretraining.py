"""Arguments and calls that the commands of pretraining share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

_SETTINGS = ('budget', 'resume', 'device', 'workers', 'seed', 'steps', 'lr', 'save_every')


def add_pretraining_arguments(parser: argparse.ArgumentParser, folder: str) -> None:
    """Adds the arguments of a pretraining.

    Args:
        parser: Parser of the command.
        folder: Work folder by default, without the name of the budget.
    """
    parser.add_argument(
        '--budget',
        default='full',
        choices=['full', 'small', 'smoke'],
        help='full: how the weights in the package were made; small: a fifth of the steps',
    )
    parser.add_argument('--work-dir', help=f'folder of the run (default: {folder}_BUDGET)')
    parser.add_argument('--resume', action='store_true', help='go on from the last checkpoint')
    parser.add_argument('--device', help='cpu or cuda (default: a GPU where there is one)')
    parser.add_argument('--workers', type=int, help='processes that draw streets')
    parser.add_argument('--seed', type=int, help='of everything random, and of the first weights')
    parser.add_argument('--steps', type=int, help="optimiser steps, in place of the budget's")
    parser.add_argument('--lr', type=float, help='peak learning rate')
    parser.add_argument('--save-every', type=int, help='steps from a checkpoint to the next')


def run_pretraining(
    pretrain: Callable[..., dict[str, Any]], args: argparse.Namespace, folder: str
) -> None:
    """Pretrains and prints the digest of the weights.

    Args:
        pretrain: Function of the work folder and the settings.
        args: Arguments of the command.
        folder: As for `add_pretraining_arguments`.
    """
    settings = {name: getattr(args, name) for name in _SETTINGS}
    made = pretrain(args.work_dir or f'{folder}_{args.budget}', **settings)
    print(f'{made["weights"]}: {made["steps"]} steps, SHA-256 {made["sha256"]}')
