"""Words of a config that nothing reads are errors with the near miss."""

import pytest
from mmengine.config import Config

from rein_seg.apis import load_config
from rein_seg.config.names import check_types
from rein_seg.errors import UserError
from tests.paths import REPO

BASE = str(REPO / 'configs/rein_tiny_miniscapes.py')


def load(tmp_path, line):
    path = tmp_path / 'leaf.py'
    path.write_text(f'_base_ = [{BASE!r}]\n{line}\n')
    return load_config(str(path))


SLIPS = [
    (
        'optim_wraper = dict(a=1)',
        "'optim_wraper', which nothing reads; did you mean 'optim_wrapper'",
    ),
    ('max_iter = 3', "'max_iter', which nothing reads; did you mean 'max_iters'"),
    ('epoch = 3', "'epoch', which nothing reads; did you mean 'epochs'"),
    ('train_dataloder = dict()', "did you mean 'train_dataloader'"),
    ('benchmark = dict(num_clases=3)', "benchmark has a key 'num_clases'; did you mean 'num_class"),
    ('benchmark = dict(sources=3)', "benchmark has a key 'sources'"),
    (
        "protocols = dict(mine=dict(max_iter=3)); protocol = 'mine'",
        "protocols.mine has a key 'max_",
    ),
    (
        "protocols = dict(mine=dict()); protocol = 'min'",
        "protocol='min'; did you mean 'mine'",
    ),
]


@pytest.mark.parametrize(('line', 'message'), SLIPS, ids=[line[:16] for line, _ in SLIPS])
def test_a_slip_is_an_error(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        load(tmp_path, line)


def test_variables_of_a_user_are_free(tmp_path):
    names = 'source targets target images pipeline train_pipeline test_pipeline lr encoder scratch'
    cfg = load(tmp_path, '\n'.join(f'{name} = 3' for name in names.split()))
    assert cfg.train_pipeline == 3


@pytest.mark.parametrize(
    'place',
    [
        'vis_backends.0', 'visualizer', 'log_processor', 'model.backbone', 'custom_hooks.0',
        'train_dataloader.dataset', 'optim_wrapper', 'model.decode_head.init_cfg',
    ],
)  # fmt: skip
@pytest.mark.parametrize('name', ['os.system', 'mmengine.load', 'evil.X', 'rein_seg.apis.train'])
def test_a_type_is_no_path_to_a_python_object(tmp_path, monkeypatch, place, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'evil.py').write_text("import pathlib\npathlib.Path('EXECUTED').touch()\n")
    node = {'type': name}
    for key in reversed(place.split('.')):
        node = [node] if key.isdigit() else {key: node}
    with pytest.raises(UserError, match=rf"type='{name}' is a path to a Python object"):
        check_types(Config(node))
    assert not (tmp_path / 'EXECUTED').exists()
