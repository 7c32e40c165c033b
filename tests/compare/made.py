"""Results made by hand, and a training tool that takes milliseconds."""

import json
import re
import sys
from dataclasses import replace

from rein_seg.compare import Run, build_comparison

CODE = {'rein_seg': 'abc', 'torch': '2.15.0'}


def make_results(source=20.0, night=10.0, fog=12.0, *, method='LoRA', **more):
    """Returns what a results.json holds of one run."""
    domains = {
        name: {
            'images': 3,
            'mIoU': value,
            'aAcc': (value or 0) + 50,
            'IoU': {'road': value, 'sky': None},
        }
        for name, value in (('clear', source), ('night', night), ('fog', fog))
    }
    return {
        'benchmark': 'miniscapes',
        'protocol': 'miniscapes-256x128',
        'source': 'clear',
        'targets': ['night', 'fog'],
        'domains': domains,
        'num_classes': 19,
        'method': {'type': method},
        'encoder': {'name': 'ViT'},
        'parameters': {'method': 1000, 'neck_and_head': 234, 'trainable': 1234, 'frozen': 9},
        'iterations': 320,
        'seconds': {'total': 100.0, 'per_iteration': 0.5},
        'peak_memory_mib': 1000.0,
        'adapter': {'file': 'adapter.safetensors', 'bytes': 2048, 'tensor_bytes': 2000},
        'environment': {'processor': 'x86_64', 'threads': 2, 'gpu': None},
        **more,
    }


def make_run(variant='LoRA', seed=0, results=None, **more):
    """Returns a finished run of `make_results`."""
    session = {'code': CODE, 'jobs': 1, 'seconds': 120.0, 'exit': 0}
    content = {
        'state': 'finished',
        'results': make_results() if results is None else results,
        'sessions': (session,),
        'wall_seconds': 120.0,
        'config': 'configs/tiny.py',
        'path': f'{variant}/seed_{seed}/results.json',
    }
    return Run(variant, seed, **{**content, **more})


# behaves as rein-seg train does, by seed: 7 fails, 8 with LoRA waits to be stopped, 9 is killed
FAKE = """
import json, os, pathlib, re, signal, sys, time
args = sys.argv[1:]
config, folder = args[0], pathlib.Path(args[args.index('--work-dir') + 1])
seed = int(re.search(r'randomness.seed=(\\d+)', ' '.join(args)).group(1))
with (folder / 'calls.txt').open('a') as file:
    file.write(' '.join(args[3:]) + '\\n')
print('log line')
if seed == 7:
    sys.stderr.write('Traceback of the run\\nValueError: no good\\n')
    sys.exit(3)
if seed == 8 and 'LoRA' in config and '--resume' not in args:
    (folder / 'iter_2.pth').write_text('')
    time.sleep(60)
if seed == 9:
    os.kill(os.getpid(), signal.SIGKILL)
results = json.loads(pathlib.Path({results!r}).read_text())
shift = seed + 100 * ('Frozen' in config)
for scores in results['domains'].values():
    scores['mIoU'] += shift
(folder / 'results.json').write_text(json.dumps(results))
"""


def write_fake_train(folder):
    """Writes a program; returns the command that starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / 'made.json'
    results.write_text(json.dumps(make_results()))
    path = folder / 'fake_train.py'
    path.write_text(FAKE.format(results=str(results)))
    return sys.executable, str(path)


def binary_results(dice=80.0, mae=0.02, target_mae=0.05):
    scores = {'images': 2, 'S': 90.0, 'MAE': mae, 'Dice_image': dice, 'mIoU': 70.0}
    return make_results(
        domains={'clear': scores, 'night': {**scores, 'MAE': target_mae}, 'fog': scores},
        targets=['night'],
        fractions=['MAE'],
    )


def comparison():
    return build_comparison(
        [
            *(
                make_run('LoRA', s, make_results(20.0 + 2 * s, 10.0 + s, 12.0 + s))
                for s in range(3)
            ),
            make_run('Frozen', 0, make_results(18.0, 9.0, 8.0, method='Frozen')),
            unfinished(1, 'failed', error='exit code 3: no good'),
            unfinished(2, 'waiting'),
        ]
    )


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def unfinished(seed, state, **more):
    nothing = dict(path=None, sessions=(), wall_seconds=None)
    return replace(make_run('Frozen', seed), results=None, state=state, **nothing, **more)
