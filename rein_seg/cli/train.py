"""Trains a config.

Leaves log, config, checkpoints, results.json, adapter.safetensors, overview.png
and the page report.html in the work folder. With --data, also own_config.py, the short
config that was generated.
"""

import argparse

from rein_seg.cli.arguments import add_run
from rein_seg.cli.own_data import add_own_data, source_of

INTERRUPTED = 'go on with --resume'
EXAMPLES = """examples:
  the embedded benchmark: no data, no weights, about ten minutes on two cores
    rein-seg train rein_tiny_miniscapes
  own data: images and masks, described by the file that rein-seg init-data DIR writes
    rein-seg train --data data.yaml
    rein-seg train --data data.yaml --encoder dinov2_base --head mask2former --peft LoRA
  a config of your own, shorter
    rein-seg train my_config.py --cfg-options max_iters=1000
  two GPUs
    torchrun --nproc_per_node 2 -m rein_seg train rein_dinov2_gtav --launcher pytorch"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_own_data(parser)
    start = parser.add_mutually_exclusive_group()
    start.add_argument(
        '--resume', action='store_true', help='go on from the newest checkpoint of the work folder'
    )
    start.add_argument('--resume-from', metavar='FILE', help='go on from this checkpoint')
    start.add_argument(
        '--replay',
        metavar='FILE',
        help='repeat the step of not_finite_iter_N.pth, which a run leaves that stops at a loss '
        'or gradient that is not finite; trains nothing',
    )
    parser.add_argument(
        '--inference-cost',
        action='store_true',
        help='time inference, too: as trained, with the method merged, and the frozen encoder',
    )
    parser.add_argument(
        '--track',
        action='append',
        default=[],
        metavar='NAME',
        help='also log to tensorboard, wandb or mlflow; can be given several times',
    )
    add_run(parser)


def main(args: argparse.Namespace) -> None:
    """Trains."""
    from rein_seg.apis import load_config, train
    from rein_seg.run.replay import replay

    source, options = source_of(args)
    cfg = load_config(source, work_dir=args.work_dir, cfg_options=options)
    if args.replay is not None:
        replay(cfg, args.replay, amp=args.amp)
        return
    train(
        cfg,
        resume=args.resume,
        resume_from=args.resume_from,
        amp=args.amp,
        launcher=args.launcher,
        inference_cost=args.inference_cost,
        track=args.track,
        texts=None if isinstance(source, str) else {'own_config.py': source.text},
    )
