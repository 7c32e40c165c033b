import base64
import json

import cv2
import numpy as np
import pytest
import torch

from rein_seg.cli import main
from rein_seg.evaluation import DomainIoUMetric
from rein_seg.evaluation.calibration import grid
from rein_seg.run.command import command_line
from rein_seg.run.curves import read_curves, thinned
from rein_seg.run.report import build_report, report, write_report
from tests.pages.run_results import results

CLASSES = ('road', 'car', 'sky')
PALETTE = [[128, 64, 128], [0, 0, 142], [70, 130, 180]]


def evaluated(folder, count=8, domains=('fog', 'rain'), size=(40, 80)):
    """Returns a metric after a test: image i has i wrong columns of ten."""
    metric = DomainIoUMetric(targets=list(domains))
    metric.dataset_meta = dict(classes=CLASSES, palette=PALETTE)
    step = size[1] // 10
    for domain in domains:
        for i in range(count):
            path = folder / f'{domain}_{i}.png'
            cv2.imwrite(str(path), np.full((*size, 3), (10 * i, 100, 200), np.uint8))
            label = torch.zeros(1, *size, dtype=torch.long)
            label[:, :, size[1] // 2 :] = 1
            pred = label.clone()
            pred[:, :, : i * step] = 2
            maps = dict(gt_sem_seg=dict(data=label.byte()), pred_sem_seg=dict(data=pred))
            confidence = dict(data=torch.full((1, *size), 0.97)[(slice(None), *grid(size))])
            sample = dict(domain=domain, img_path=str(path), confidence=confidence, **maps)
            metric.process(None, [sample])
    metric.evaluate(count * len(domains))
    return metric


def pixels(data):
    kind, _, text = data.partition(',')
    assert kind in ('data:image/png;base64', 'data:image/jpeg;base64')
    return cv2.imdecode(np.frombuffer(base64.b64decode(text), np.uint8), cv2.IMREAD_COLOR)[
        ..., ::-1
    ]


def test_report_holds_what_the_page_needs(tmp_path):
    made = build_report(evaluated(tmp_path), tmp_path)
    assert list(made['domains']) == ['fog', 'rain']
    fog = made['domains']['fog']
    assert np.sum(fog['confusion']) == 8 * 40 * 80
    assert fog['top_confusions'][0]['pixels'] == sum(min(i, 5) * 8 * 40 for i in range(8))
    assert np.sum(made['over_targets']['confusion']) == 2 * 8 * 40 * 80
    right = 1 - (1 + 2 + 3 + 4 + 5 + 6 + 7) / 80
    assert fog['calibration']['error'] == pytest.approx(100 * (0.97 - right), abs=1e-4)
    kinds = [(one['kind'], one['name']) for one in fog['pictures']]
    assert kinds == [
        ('worst', 'fog_7.png'), ('worst', 'fog_6.png'), ('worst', 'fog_5.png'),
        ('best', 'fog_0.png'), ('best', 'fog_1.png'), ('best', 'fog_2.png'),
    ]  # fmt: skip
    worst = fog['pictures'][2]  # half of its pixels are wrong
    assert worst['size'] == [80, 40]
    assert pixels(worst['image'])[5, 5].tolist() == pytest.approx([200, 100, 50], abs=6)
    assert pixels(worst['truth'])[5, [5, 70]].tolist() == PALETTE[:2]
    assert pixels(worst['prediction'])[5, [5, 70]].tolist() == [PALETTE[2], PALETTE[1]]
    assert pixels(worst['errors'])[5, [5, 70]].tolist() == [[170, 20, 60], [226, 232, 238]]


def test_an_image_that_is_gone_is_left_out(tmp_path):
    metric = evaluated(tmp_path, domains=('fog',))
    (tmp_path / 'fog_7.png').unlink()
    names = [one['name'] for one in build_report(metric, tmp_path)['domains']['fog']['pictures']]
    assert 'fog_7.png' not in names and 'fog_6.png' in names


def test_many_domains_make_no_large_page(tmp_path):
    names = [f'd{i}' for i in range(25)]
    made = build_report(evaluated(tmp_path, 3, names, (480, 640)), tmp_path)
    write_report(tmp_path, results(), made)
    assert (tmp_path / 'report.html').stat().st_size < 3_000_000
    assert all(domain['pictures'] for domain in made['domains'].values())


def test_page_is_made_again_without_the_model(tmp_path, capsys):
    write_report(tmp_path, results(), build_report(evaluated(tmp_path), tmp_path))
    (tmp_path / 'results.json').write_text(json.dumps(results()))
    first = (tmp_path / 'report.html').read_text()
    (tmp_path / 'report.html').unlink()
    assert main(['report', str(tmp_path)]) == 0
    assert (tmp_path / 'report.html').read_text() == first
    assert 'report.html' in capsys.readouterr().out


def test_a_run_of_an_earlier_version_gets_its_curves(tmp_path):
    log = tmp_path / '20260101_000000/vis_data'
    log.mkdir(parents=True)
    (log / 'scalars.json').write_text('{"lr": 0.1, "loss": 2.5, "step": 10}\n')
    (tmp_path / 'results.json').write_text(json.dumps(results()))
    text = report(tmp_path).read_text()
    assert '"loss":[[10,2.5]]' in text
    assert not (tmp_path / 'report.json').exists()


@pytest.mark.parametrize(
    ('files', 'words'),
    [
        ({}, 'holds no results.json'),
        ({'results.json': '{'}, "results.json' is no JSON"),
        ({'results.json': '[]'}, 'holds list'),
        ({'results.json': '{"domains": {}}', 'report.json': 'x'}, "report.json' is no JSON"),
    ],
)
def test_folders_without_a_run_are_refused(tmp_path, capsys, files, words):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert main(['report', str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count('\n') == 1
    assert not (tmp_path / 'report.html').exists()


def lines(folder, session, text):
    log = folder / session / 'vis_data'
    log.mkdir(parents=True)
    (log / 'scalars.json').write_text('\n'.join(text))


def test_curves_of_a_resumed_run_are_joined(tmp_path):
    line = '{"lr": 0.1, "loss": %d.0, "memory": 5, "time": 1, "step": %d}'
    first = [line % (n, n) for n in (10, 20, 30)]
    first += ['{"fog/mIoU": 40.0, "time": 1, "step": 30}', '{"lr": 0.1, "lo']
    lines(tmp_path, '20260101_1', first)
    scored = ['{"fog/mIoU": 41.0, "step": 30}', '{"fog/mIoU": 39.0, "step": 30}']
    lines(tmp_path, '20260101_2', ['{"lr": 0.2, "loss": 7.0, "step": 30}', *scored])
    curves = read_curves(tmp_path)
    assert curves['train']['loss'] == [(10, 10.0), (20, 20.0), (30, 7.0)]
    assert curves['validation'] == {'fog/mIoU': [(30, 41.0)]}
    assert 'time' not in curves['train']


def test_long_curves_are_thinned():
    curve = thinned([(i, float(i % 2)) for i in range(100_000)])
    assert len(curve) == 400
    assert curve[-1] == (99_999, 0.5)
    assert thinned([]) == []


@pytest.mark.parametrize(
    ('argv', 'environment', 'command'),
    [
        (['/x/bin/rein-seg', 'train', 'a.py'], {}, 'rein-seg train a.py'),
        (['/x/rein_seg/__main__.py', 'train', 'a b'], {}, "python -m rein_seg train 'a b'"),
        (['tools/train.py', 'a.py'], {}, 'python tools/train.py a.py'),
        (['/x/tools/train.py', 'a.py'], {}, 'python train.py a.py'),
        (['/x/bin/pytest', 'a.py'], {}, None),
        (['notebook.py'], {}, None),
        ([''], {}, None),
        (
            ['/x/rein_seg/__main__.py', 'train', 'a.py', '--launcher', 'pytorch'],
            {'WORLD_SIZE': '8', 'LOCAL_WORLD_SIZE': '4'},
            'torchrun --nproc_per_node 4 -m rein_seg train a.py --launcher pytorch',
        ),
    ],
)
def test_command_of_a_run(argv, environment, command):
    assert command_line(argv, environment) == command
