"""The worked example of the guide on whole images runs as it stands, on three colours."""

import csv
import shlex
import shutil
from pathlib import Path

from tests.cli.calls import call
from tests.docs.tutorial import FENCE
from tests.paths import REPO
from tests.run.image_run import draw

GUIDE = REPO / 'docs/guides/image-tasks.md'
# a smaller encoder, and four iterations
SMALL = [
    *(f'model.backbone.encoder.arch.{key}' for key in ('embed_dims=16', 'num_layers=2')),
    *(f'model.backbone.encoder.arch.{key}' for key in ('num_heads=2', 'feedforward_channels=32')),
    'model.backbone.encoder.checkpoint=None',
    'model.backbone.encoder.init_seed=0',
    'model.backbone.encoder.out_indices=[0,1]',
    'train_cfg.val_interval=4',
    'max_iters=24',
]


def test_the_commands_and_the_program_of_the_guide(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw('photos')
    shutil.move('photos/train/red car', 'photos/train/rose')
    shutil.move('photos/val/red car', 'photos/val/rose')
    blocks = [(kind, code) for _, kind, _, code in FENCE.findall(GUIDE.read_text())]
    for line in next(code for kind, code in blocks if kind == 'bash').splitlines():
        words = shlex.split(line)[1:]
        code, err = call(*words, *(SMALL if words[0] == 'train' else ()))
        assert code == 0, err
    rows = list(csv.DictReader(Path('answers/predictions.csv').read_text().splitlines()))
    assert len(rows) == 12
    assert {row['class'] for row in rows} <= {'blue_bus', 'green van', 'rose'}
    code = next(code for kind, code in blocks if kind == 'python')
    capsys.readouterr()
    exec(compile(code.replace('rose/2.jpg', 'rose/2.png'), str(GUIDE), 'exec'), {})
    assert "'rose'" in capsys.readouterr().out
