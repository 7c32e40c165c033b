"""Words of a config that nothing reads are errors with the near miss."""

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from rein_seg.apis import load_config
from rein_seg.config.config_paths import same
from rein_seg.config.names import check_types
from rein_seg.config.registered import find_class
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
    ('max_itres = 3', "'max_itres', which nothing reads; did you mean 'max_iters'"),
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


def test_variables_that_a_file_reads_are_free_and_no_part_of_the_run(tmp_path):
    names = ['source', 'targets', 'images', 'pipeline', 'lr', 'max_iter', 'scratch']
    lines = [f'{name} = 3' for name in names]
    seed = f'randomness = dict(seed={" + ".join(names)})'
    cfg = load(tmp_path, '\n'.join([*lines, seed]))
    assert cfg.randomness.seed == 21
    assert not {*names, 'encoder', 'decode_head'} & set(cfg)


@pytest.mark.parametrize('leaf', ['head_size = 3', '{"head_size": 3}'])
def test_a_word_that_no_file_reads_is_refused(tmp_path, leaf):
    (tmp_path / 'base.py').write_text(f'_base_ = [{BASE!r}]\nwidth = 1\n')
    path = tmp_path / ('leaf.json' if leaf.startswith('{') else 'leaf.py')
    path.write_text(
        leaf.replace('{', '{"_base_": "rein_tiny_miniscapes", ')
        if path.suffix == '.json'
        else f"_base_ = './base.py'\nrandomness = dict(seed=_base_.width)\n{leaf}\n"
    )
    with pytest.raises(UserError, match="has 'head_size', which nothing reads; remove it"):
        load_config(str(path))


def test_a_variable_set_after_it_was_read_is_refused(tmp_path):
    with pytest.raises(UserError, match="sets 'encoder' too late: its bases have read it"):
        load(tmp_path, "encoder = dict(type='TinyViT')")


def test_a_word_that_a_module_of_the_user_names_is_free(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'my_part.py').write_text('def width(runner):\n    return runner.cfg.my_width\n')
    assert load(tmp_path, "my_width = 3\ncustom_imports = dict(imports=['my_part'])").my_width == 3


def test_the_config_that_an_older_run_left_may_hold_variables(tmp_path):
    cfg = load(tmp_path, '')
    path = tmp_path / 'left.py'
    path.write_text(cfg.pretty_text + "\nencoder = dict(type='A')\ntargets = ['night']\n")
    assert same(load_config(str(path)).to_dict(), cfg.to_dict())
    path.write_text(path.read_text() + 'max_itres = 3\n')
    with pytest.raises(
        UserError, match="'max_itres', which nothing reads; did you mean 'max_iters"
    ):
        load_config(str(path))


@pytest.mark.parametrize('name', ['torch', 'abc', 'evil'])
def test_a_type_is_no_module(tmp_path, monkeypatch, name):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'evil.py').write_text("import pathlib\npathlib.Path('EXECUTED').touch()\n")
    monkeypatch.chdir(tmp_path)
    for node in (dict(vis_backends=[dict(type=name)]), dict(model=[[dict(type=name)]])):
        with pytest.raises(UserError, match=f"type='{name}' is a Python module, expected the reg"):
            check_types(Config(node))
    assert find_class(MODELS, name) is None
    assert not (tmp_path / 'EXECUTED').exists()


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
