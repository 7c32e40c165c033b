import sys

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rein_seg.apis import train
from rein_seg.cli import main
from rein_seg.engine import trackers
from rein_seg.engine.trackers import TRACKERS, metric_name, tracker_configs
from rein_seg.errors import UserError
from tests.run.tiny_run import tiny_config, write_config


@pytest.mark.slow
def test_tensorboard_gets_the_curves(tmp_path):
    train(tiny_config(tmp_path), track=['tensorboard', 'tensorboard'])
    [events] = (tmp_path / 'run').glob('*/vis_data/events.*')
    found = EventAccumulator(str(events))
    found.Reload()
    names = set(found.Tags()['scalars'])
    assert {'loss', 'lr', 'grad_norm', 'clear/mIoU', 'night/mIoU', 'mean/mIoU'} <= names
    assert [one.step for one in found.Scalars('loss')] == [2, 4, 6]
    assert (tmp_path / 'run/report.html').is_file()
    assert list((tmp_path / 'run').glob('*/vis_data/scalars.json'))  # as without it


@pytest.mark.parametrize('name', TRACKERS)
def test_a_missing_extra_is_one_line_before_anything_starts(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trackers, 'find_spec', lambda module: None)
    monkeypatch.chdir(tmp_path)
    assert main(['train', write_config(tmp_path), '--track', name, '--work-dir', 'run']) == 2
    said = capsys.readouterr().err
    assert f'--track {name}: ' in said and f"pip install 'rein-seg[{name}]'" in said
    assert said.count('\n') == 1
    assert not (tmp_path / 'run').exists()


def test_an_unknown_tracker_is_one_line(tmp_path, capsys):
    assert main(['train', write_config(tmp_path), '--track', 'wand']) == 2
    said = capsys.readouterr().err
    assert "--track 'wand'" in said and 'wandb' in said and said.count('\n') == 1


@pytest.fixture
def installed(monkeypatch, tmp_path):
    monkeypatch.setattr(trackers, 'find_spec', lambda module: sys)
    monkeypatch.setenv('HOME', str(tmp_path))
    for name in ('NETRC', 'WANDB_API_KEY', 'WANDB_MODE', 'MLFLOW_TRACKING_URI'):
        monkeypatch.delenv(name, raising=False)


def test_mlflow_writes_into_the_folder_of_the_run(installed, monkeypatch):
    [cfg] = tracker_configs(['mlflow'], 'work_dirs/mine')
    assert cfg['tracking_uri'] == 'sqlite:///work_dirs/mine/mlflow.db'
    assert cfg['artifact_location'] == 'work_dirs/mine/mlflow'
    monkeypatch.setenv('MLFLOW_TRACKING_URI', 'http://server:5000')
    assert tracker_configs(['mlflow'], 'run')[0]['tracking_uri'] == 'http://server:5000'
    assert metric_name('a+b/ä 1:x.y-z_') == 'a_b/ä 1:x.y-z_'


def test_wandb_without_a_login_is_offline(installed, monkeypatch, tmp_path):
    [cfg] = tracker_configs(['wandb'], 'work_dirs/mine')
    assert cfg['init_kwargs'] == {'project': 'rein_seg', 'name': 'mine', 'mode': 'offline'}
    (tmp_path / '.netrc').write_text('machine api.wandb.ai login user password abc\n')
    (tmp_path / '.netrc').chmod(0o600)
    assert 'mode' not in tracker_configs(['wandb'], 'run')[0]['init_kwargs']
    (tmp_path / '.netrc').unlink()
    monkeypatch.setenv('WANDB_API_KEY', 'abc')
    assert 'mode' not in tracker_configs(['wandb'], 'run')[0]['init_kwargs']


def test_a_tracker_needs_all_its_packages(monkeypatch):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: None if name == 'alembic' else sys)
    with pytest.raises(UserError, match='alembic cannot be imported'):
        tracker_configs(['mlflow'], 'run')
