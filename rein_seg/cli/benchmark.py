"""Times training steps or predictions of several configs in turn.

On synthetic images. Prints medians, ratios with their range, images/s and peak
memory; counts FLOPs;
measures how fast this machine multiplies matrices, hence the least time that
the FLOPs take; and profiles a step by part and kind of operation. The columns
are explained in docs/background/performance.md.
"""

import argparse
import contextlib
import os
import sys

from rein_seg.cli.arguments import add_config, add_json, add_options, positive

# read when torch is loaded; its profiler would log where each trace begins and ends
os.environ.setdefault('KINETO_LOG_LEVEL', '99')
EXAMPLES = """examples:
  a training step at 512x512, on random weights
    rein-seg benchmark rein_dinov2_small_gtav --random
  our forms of Rein + Mask2Former against the official ones, in turn
    rein-seg benchmark rein_dinov2_small_gtav --random --compare official=True
  the gain of a fast form
    rein-seg benchmark rein_dinov2_small_gtav --random --compare without=winograd
  two methods in turn
    rein-seg benchmark rein_dinov2_gtav --compare lora_dinov2_gtav
  eager float32 against bfloat16, and against both compiled and bfloat16
    rein-seg benchmark rein_dinov2_gtav --compare amp=True amp=True,compile=True
  sliding inference on 1024x512, one window at a time against the config's batches
    rein-seg benchmark rein_dinov2_gtav --mode predict --size 512 1024 \\
        --compare model.test_cfg.batch_windows=1
  images/s of a real-time network, against mmseg's implementation
    rein-seg benchmark full_ddrnet_23_slim_cityscapes --random --mode predict \\
        --size 512 1024 --no-profile --compare merged=True mmseg=True"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
    parser.add_argument(
        '--compare',
        nargs='+',
        default=[],
        metavar='CONFIG|KEY=VALUE[,KEY=VALUE]',
        help='further configs, or options for CONFIG, run in turn with it. Further keys: amp, '
        'compile, official (Rein and Mask2Former as the official code computes them), without '
        '(names of fast forms); of predictions merged (method and batch norms in the weights, '
        "channels last) and mmseg (DDRNet as mmseg's classes compute it)",
    )
    parser.add_argument(
        '--mode',
        choices=['train', 'predict'],
        default='train',
        help="training steps, or predictions, in windows as the config's test_cfg says",
    )
    parser.add_argument(
        '--size',
        type=positive,
        nargs=2,
        metavar=('H', 'W'),
        help="of the images, in pixels (default: the config's crop size)",
    )
    parser.add_argument('--batch', type=positive, default=1, help='images a step (default: 1)')
    parser.add_argument('--amp', action='store_true', help='bfloat16 autocast')
    parser.add_argument(
        '--compile',
        action='store_true',
        help='steps through torch.compile; FLOPs and profile are of the eager step',
    )
    parser.add_argument(
        '--random',
        action='store_true',
        help='random weights, also where the file of the encoder is there',
    )
    parser.add_argument('--device', help='such as cpu (default: the first GPU, else the CPU)')
    parser.add_argument('--threads', type=positive, metavar='N', help="of PyTorch's operations")
    parser.add_argument(
        '--repeats', type=positive, default=5, help='timed steps of each (default: 5)'
    )
    parser.add_argument(
        '--warmup', type=positive, default=1, help='steps of each before these (default: 1)'
    )
    parser.add_argument('--no-profile', action='store_true', help='no FLOPs, no profile')
    add_json(parser)
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Measures and prints the tables."""
    from rein_seg.bench.speed import benchmark_speed, speed_tables
    from rein_seg.checkpoint import write_json

    with contextlib.redirect_stdout(sys.stderr):  # mmengine's log, too: stdout is for the tables
        figures = benchmark_speed(
            args.config,
            compare_with=args.compare,
            mode=args.mode,
            size=args.size,
            batch=args.batch,
            amp=args.amp,
            compiled=args.compile,
            random=args.random,
            device=args.device,
            num_threads=args.threads,
            repeats=args.repeats,
            warmup=args.warmup,
            profile=not args.no_profile,
            cfg_options=args.cfg_options,
            report=lambda line: print(line, flush=True),
        )
    if args.json:
        write_json(args.json, figures)
    print(speed_tables(figures))
