"""What a config says of a comparison itself, and what the command line makes of it."""

import shlex

import pytest

from rein_seg.compare.plan import parse_peft, plan_variants
from rein_seg.compare.request import ComparisonRequest, command_line, read_request
from rein_seg.errors import UserError
from tests.run.tiny_run import write_config

SAYS = "comparison = dict(peft=['Frozen', dict(type='LoRA', rank=4, name='R4')], seeds=[0, 2])\n"


def config(folder, says=SAYS):
    return write_config(folder, extra=says)


def test_the_config_says(tmp_path):
    request = read_request([config(tmp_path)], peft=None, seeds=None, metrics=None)
    assert request.seeds == [0, 2]
    assert parse_peft(request.peft) == {
        'Frozen': {'type': 'Frozen'},
        'R4': {'type': 'LoRA', 'rank': 4},
    }


def test_what_is_given_comes_first(tmp_path):
    request = read_request([config(tmp_path)], peft=['Rein'], seeds=[1], metrics=['aAcc'])
    assert request == ComparisonRequest(peft=['Rein'], seeds=[1], metrics=['aAcc'])
    assert read_request([config(tmp_path)], peft=[], seeds=None).peft == []


def test_without_a_word_in_the_config(tmp_path):
    assert read_request([config(tmp_path, '')]) == ComparisonRequest((), (0, 1, 2), ())
    assert read_request([config(tmp_path), 'other.py']) == ComparisonRequest()
    with pytest.raises(UserError, match="none.py' does not exist"):
        read_request([str(tmp_path / 'none.py')])


REFUSED = [
    ("comparison = dict(pft=['LoRA'])", "comparison has 'pft'; did you mean 'peft'"),
    ("comparison = dict(peft='LoRA')", "comparison.peft is 'LoRA', not a list"),
    ('comparison = [1]', r'comparison=.1.: expected comparison = dict\(peft='),
    ('comparison = dict(seeds=[0, 0])', r'--seeds \[0, 0\]: expected different whole'),
    ("comparison = dict(seeds=['a'])", r"--seeds \['a'\]: expected different whole"),
]


@pytest.mark.parametrize(('says', 'message'), REFUSED, ids=[r[0] for r in REFUSED])
def test_a_word_that_is_no_good(tmp_path, says, message):
    with pytest.raises(UserError, match=message):
        read_request([config(tmp_path, says)])


def test_it_is_no_part_of_a_run(tmp_path):
    (variant,) = plan_variants([config(tmp_path)])
    assert 'comparison' not in variant.content
    with pytest.raises(UserError, match='--cfg-options comparison: use --peft, --seeds'):
        plan_variants([config(tmp_path)], cfg_options={'comparison.seeds': [0]})
    with pytest.raises(UserError, match='without a type: give dict'):
        plan_variants([config(tmp_path)], peft=[{'rank': 4}])


def test_a_comparison_of_one_word(fake, tmp_path):  # noqa: F811
    call, _ = fake
    path = config(tmp_path)
    found = call.func([path], work_dir=str(tmp_path / 'w'), train=call.keywords['train'], say=str)
    assert [variant['name'] for variant in found['variants']] == ['Frozen', 'R4']
    assert [run['seed'] for run in found['runs']] == [0, 2, 0, 2]
    assert found['command'] == f'rein-seg compare {path}'


def test_the_command_that_makes_it_again():
    peft = ['LoRA', 'R4={"type": "LoRA", "rank": 4}']
    text = command_line(
        ['a.py'],
        given={'peft': peft, 'seeds': [0, 1], 'metrics': None},
        cfg_options={'max_iters': 40, 'model.x': [1, 2]},
        amp=True,
    )
    assert shlex.split(text) == [
        'rein-seg', 'compare', 'a.py', '--peft', *peft, '--seeds', '0', '1',
        '--cfg-options', 'max_iters=40', 'model.x=[1,2]', '--amp',
    ]  # fmt: skip
