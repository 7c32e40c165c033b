"""Config files as mmengine reads them, a benchmark in the middle, and who sets each value."""

import json

import pytest
from mmengine.config import Config

from rein_seg.config.read import read
from rein_seg.errors import UserError
from tests.paths import REPO

MINISCAPES = str(REPO / 'configs/_base_/benchmarks/miniscapes.py')


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_it_reads_as_mmengine_does(write):
    """Bases, both ways to take over a value, merging, `_delete_` and a dict under two names."""
    write('encoder.py', "encoder = dict(type='E', arch=dict(width=2))\nsize = (4, 4)\n")
    write('rest.py', 'def twice(x):\n    return 2 * x\n\n\nloop = dict(a=1, b=dict(c=twice(1)))\n')
    text = """
_base_ = ['./encoder.py', './rest.py']
model = dict(encoder={{_base_.encoder}}, crop=_base_.size, name='{{ fileBasenameNoExtension }}')
loop = dict(b=dict(_delete_=True, d=3))
same = loop
path = '{{$NOT_SET_ANYWHERE:default}}'
"""
    path = write('leaf.py', text)
    ours = read(path).content.to_dict()
    assert ours['model']['encoder'] == {'type': 'E', 'arch': {'width': 2}}
    assert ours['loop'] == {'a': 1, 'b': {'d': 3}}
    assert (ours['model']['name'], ours['path']) == ('leaf', 'default')
    assert ours == Config.fromfile(path).to_dict()


@pytest.mark.parametrize('name', ['rein_tiny_miniscapes', 'rein_dinov2_gtav_1024'])
def test_a_shipped_leaf_reads_as_mmengine_does_but_for_the_benchmark(name):
    path = str(REPO / f'configs/{name}.py')
    ours, theirs = read(path).content.to_dict(), Config.fromfile(path).to_dict()
    benchmark = theirs.pop('benchmark')
    assert ours['benchmark']['name'] == benchmark
    assert {key: ours[key] for key in theirs} == theirs


def test_two_names_for_one_dict_both_delete(write):
    text = f"""
_base_ = [{MINISCAPES!r}]
val_dataloader = dict(dataset=dict(_delete_=True, type='BlobsDataset'))
test_dataloader = val_dataloader
"""
    content = read(write('leaf.py', text)).content
    for use in ('val', 'test'):
        assert content[f'{use}_dataloader'].dataset == dict(type='BlobsDataset')
        assert content[f'{use}_dataloader'].batch_size == 4


def test_a_leaf_changes_a_benchmark_in_two_steps(write):
    """`_delete_` in both: the benchmark's data set and then the first leaf's are replaced."""
    one = f"""
_base_ = [{MINISCAPES!r}]
train_dataloader = dict(dataset=dict(_delete_=True, type='A', count=1))
"""
    write('one.py', one)
    two = "_base_ = './one.py'\ntrain_dataloader = dict(dataset=dict(_delete_=True, type='B'))"
    assert read(write('two.py', two)).content.train_dataloader.dataset == dict(type='B')


def test_who_sets_each_value(write):
    write('encoder.py', "encoder = dict(type='E', arch=dict(width=2), depth=3)\n")
    text = f"""
_base_ = ['./encoder.py', {MINISCAPES!r}]
model = dict(encoder={{{{_base_.encoder}}}}, head=dict(_base_.encoder, depth=5))
train_dataloader = dict(batch_size=8)
clear = _base_.val_dataloader.dataset.datasets[0]
"""
    path = write('leaf.py', text)
    origins = read(path).origins
    encoder = str(path).replace('leaf.py', 'encoder.py')
    assert origins['model.encoder.type'] == origins['model.encoder.arch.width'] == encoder
    assert (origins['model.head.depth'], origins['model.head.arch.width']) == (path, encoder)
    assert origins['train_dataloader.batch_size'] == path
    assert origins['train_dataloader.num_workers'] == 'benchmark miniscapes'
    assert origins['val_dataloader.dataset.datasets.3.domain'] == 'benchmark miniscapes'
    assert origins['clear.domain'] == 'benchmark miniscapes'


def test_a_leaf_takes_another_benchmark_in_one_line(write):
    base = str(REPO / 'configs/rein_dinov2_gtav.py')
    text = f"_base_ = [{base!r}]\nbenchmark = 'cityscapes_to_acdc'\nprotocol = 'acdc1024'\n"
    content = read(write('leaf.py', text)).content
    assert content.benchmark == dict(name='cityscapes_to_acdc', num_classes=19)
    assert content.train_dataloader.dataset.domain == 'cityscapes'
    assert content.val_evaluator.targets == ['night', 'snow', 'fog', 'rain']
    assert content.model.backbone.peft.type == 'Rein'


def test_other_forms_go_through_mmengine(write):
    path = write('leaf.json', json.dumps(dict(model=dict(type='A'))))
    assert read(path).content.model.type == 'A'
    assert read(path).origins == {'model.type': path}
    style = 'from mmengine.config import read_base\n\nwith read_base():\n    from .part import *\n'
    write('part.py', 'size = 3\n')
    assert read(write('new.py', style)).content.size == 3


REFUSED = [
    ('a = (', r"leaf.py', line 1: SyntaxError"),
    ('x = 1\na = x.b', r"leaf.py', line 2: AttributeError.* has no attribute 'b'"),
    ("_base_ = './nowhere.py'", "leaf.py': its _base_ './nowhere.py': .* does not exist"),
    ("_base_ = ['./one.py', 3]", r"leaf.py', line 1: _base_=.*'./one.py', 3.*expected a path"),
    ('_base_ = 3', "leaf.py', line 1: _base_=3: expected a path or a list of paths"),
    ("x = 1\n_base_ = f'{x}.py'", "leaf.py', line 2: _base_=.*expected a path .* as plain text"),
    ("_base_ = './leaf.py'", 'its bases form a circle: leaf.py -> leaf.py; take one'),
    ("_base_ = ['./circle.py']", 'bases form a circle: leaf.py -> circle.py -> leaf.py'),
    ("_base_ = '.'", "its _base_ '.': config .* is a folder: give a file"),
    ('x = 1\nraise RuntimeError', "leaf.py', line 2: RuntimeError: correct it"),
    ('x = 1\nexit(3)', "leaf.py', line 2: SystemExit: 3: correct it"),
    ('x = open("no.txt")', "leaf.py', line 1: FileNotFoundError: .*no.txt"),
    ('def f():\n    return 1 / 0\n\n\nx = f()', "leaf.py', line 2: ZeroDivisionError"),
    ('\0', "leaf.py'.*null bytes"),
    ('x = ' + '(' * 300, "leaf.py', line 1: SyntaxError: too many nested parentheses"),
    ('  x = 1', "leaf.py', line 1: IndentationError"),
    ('x = {{ one }}', "leaf.py', line 1: NameError: name 'one'"),
    (
        "_base_ = ['./one.py', './two.py']",
        "'lr' is defined by two of its bases, .*one.py and .*two",
    ),
    ("benchmark = 'miniscape'", "benchmark='miniscape'; did you mean 'miniscapes'"),
    ("_base_ = './one.py'\nlr = dict(a=1)", "leaf.py': .*lr.* dict in the child config"),
    ('filename = 3', "leaf.py': the name 'filename' is reserved"),
]


@pytest.mark.parametrize(('text', 'message'), REFUSED, ids=[text[:20] for text, _ in REFUSED])
def test_mistakes_in_files_are_one_line(write, text, message):
    write('one.py', 'lr = 1')
    write('two.py', 'lr = 2')
    write('circle.py', "_base_ = './leaf.py'")
    with pytest.raises(UserError, match=message) as caught:
        read(write('leaf.py', text))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('leaf', ['max_iters = 50', 'max_iters = 50\ntrain_cfg = {}'])
def test_a_length_of_the_leaf_reaches_loop_and_schedules(leaf, tmp_path):
    path = tmp_path / 'leaf.py'
    path.write_text(f"_base_ = 'rein_tiny_miniscapes'\n{leaf}\n", encoding='utf-8')
    source = read(str(path))
    assert source.content.max_iters == 50
    assert source.content.train_cfg == dict(
        type='IterBasedTrainLoop', max_iters=50, val_interval=50
    )
    assert [step.end for step in source.content.param_scheduler] == [20, 50]
    keys = ['max_iters', 'train_cfg.max_iters', 'train_cfg.val_interval', 'param_scheduler.1.end']
    assert [source.origins[key] for key in keys] == [str(path)] * 4
    assert source.origins['param_scheduler.1.power'] != str(path)


def test_the_word_of_mmengine_ends_the_loop_alone(tmp_path):
    path = tmp_path / 'leaf.py'
    text = "_base_ = 'rein_tiny_miniscapes'\ntrain_cfg = dict(max_iters=50)\n"
    path.write_text(text, encoding='utf-8')
    content = read(str(path)).content
    assert (content.max_iters, content.train_cfg.max_iters) == (320, 50)
    assert [step.end for step in content.param_scheduler] == [20, 320]


def test_two_lengths_of_one_leaf_are_refused(tmp_path):
    path = tmp_path / 'leaf.py'
    path.write_text(
        "_base_ = 'rein_tiny_miniscapes'\nmax_iters = 50\ntrain_cfg = dict(max_iters=60)\n",
        encoding='utf-8',
    )
    with pytest.raises(UserError, match='max_iters=50 and train_cfg.max_iters=60 are both set'):
        read(str(path))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / 'leaf.py'
    path.write_bytes('# Größe\nlr = 1\n'.encode('latin-1'))
    with pytest.raises(UserError, match='leaf.py. is not UTF-8: byte 4 is 0xf6; save it as UTF-8'):
        read(str(path))
    path.write_bytes(b'\xef\xbb\xbflr = 1\n')  # an editor's mark of UTF-8
    assert read(str(path)).content.lr == 1


def test_bases_of_data_form_no_circle(write):
    write('a.json', '{"_base_": "b.yaml"}')
    with pytest.raises(UserError, match='circle: b.yaml -> a.json -> b.yaml'):
        read(write('b.yaml', '_base_: a.json'))
    with pytest.raises(UserError, match="x.json'.*_base_=3: expected a path"):
        read(write('x.json', '{"_base_": 3}'))


HARMFUL = [
    ('x.yaml', 'a: !!python/object/apply:os.system ["touch EXECUTED"]', 'python/object/apply'),
    ('x.yaml', 'a: !!python/name:os.system', 'python/name'),
    ('x.yml', 'custom_imports:\n  imports: [evil]\n', 'custom_imports runs code'),
    ('x.json', '{"custom_imports": {"imports": ["evil"]}}', 'custom_imports runs code'),
    ('x.json', '{"_base_": "./evil.py"}', "its base './evil.py' is no shipped config"),
    ('x.json', '{"_base_": ["rein_tiny_miniscapes", "evil"]}', "its base 'evil' is no shipped"),
    ('x.yaml', '_base_: ../configs/evil.py', 'may not run code'),
    ('x.yaml', 'a: {{ fileDirname }}', 'which a Python config alone may have'),
    ('x.yaml', '[1, 2]', 'holds no names with values'),
    ('x.yaml', '1: 2', 'holds no names with values'),
    ('x.yaml', 'a: &a [*a]', 'more than 100000 values'),
    ('x.yaml', 'a: [b', 'x.yaml'),
    ('x.json', '{"a": 1', 'x.json'),
    ('x.json', '[' * 100_000, 'x.json'),
]


@pytest.mark.parametrize(('name', 'text', 'says'), HARMFUL)
def test_json_and_yaml_run_nothing(write, tmp_path, monkeypatch, name, text, says):
    monkeypatch.chdir(tmp_path)
    write('evil.py', "import pathlib\npathlib.Path('EXECUTED').touch()\n")
    write('rein_tiny_miniscapes.py', "import pathlib\npathlib.Path('EXECUTED').touch()\n")
    with pytest.raises(UserError, match=says):
        read(write(name, text))
    assert not (tmp_path / 'EXECUTED').exists()


def test_names_of_parts_that_multiply_end_at_once(write):
    text = 'a0: &a0 [x, x]\n' + ''.join(
        f'a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n' for i in range(1, 60)
    )
    with pytest.raises(UserError, match='more than 100000 values'):
        read(write('x.yaml', text))


def test_yaml_over_a_shipped_config(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write('rein_tiny_miniscapes.py', "raise SystemExit('not this file')\n")
    write('middle.yaml', '_base_: rein_tiny_miniscapes.py\nmax_iters: 50\n')
    source = read(write('leaf.json', '{"_base_": "middle.yaml", "randomness": {"seed": 4}}'))
    assert (source.content.train_cfg.max_iters, source.content.randomness.seed) == (50, 4)
    assert source.content.model.backbone.peft == {'type': 'Rein'}
