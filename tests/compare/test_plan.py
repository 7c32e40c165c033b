"""Variants: their names, their configs, and what is refused before anything runs."""

import pytest

from rein_seg.apis import load_config
from rein_seg.compare.plan import parse_peft, plan_variants
from rein_seg.errors import UserError
from tests.paths import REPO
from tests.run.tiny_run import write_config


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return write_config(tmp_path_factory.mktemp('plan'))


def test_methods_from_the_command_line():
    words = ['LoRA', 'mine=Rein', 'Rein={"num_tokens": 50}', 'R4={"type": "LoRA", "rank": 4}']
    assert parse_peft(words) == {
        'LoRA': {'type': 'LoRA'},
        'mine': {'type': 'Rein'},
        'Rein': {'type': 'Rein', 'num_tokens': 50},
        'R4': {'type': 'LoRA', 'rank': 4},
    }


def test_a_variant_replaces_the_method(config):
    lora, frozen = plan_variants([config], peft=['LoRA={"rank": 4}', 'Frozen'])
    assert lora.content['model']['backbone']['peft'] == {'type': 'LoRA', 'rank': 4}
    assert frozen.content['model']['backbone']['peft'] == {'type': 'Frozen'}
    assert frozen.with_seed(5)['randomness'] == {'seed': 5}
    assert frozen.content['randomness'] == {'seed': 3}
    assert 'work_dir' not in frozen.content


def test_a_variant_has_options_of_its_own(config):
    options = {'optim_wrapper.optimizer.lr': 0.25, 'model.backbone.encoder.init_seed': 9}
    word = 'Slow={"type": "Full", "options": {"optim_wrapper.optimizer.lr": 0.5}}'
    peft = [dict(type='Full', name='Other', options=options), word, 'Full']
    other, slow, full = (v.content for v in plan_variants([config], peft=peft))
    assert [c['model']['backbone']['peft'] for c in (other, slow, full)] == [{'type': 'Full'}] * 3
    assert [c['optim_wrapper']['optimizer']['lr'] for c in (other, slow)] == [0.25, 0.5]
    assert other['model']['backbone']['encoder']['init_seed'] == 9
    assert full['optim_wrapper']['optimizer']['lr'] not in (0.25, 0.5)
    overridden = {'optim_wrapper.optimizer.lr': 0.75}
    (all_,) = plan_variants([config], peft=[word], cfg_options=overridden)
    assert all_.content['optim_wrapper']['optimizer']['lr'] == 0.75


def test_the_written_config_is_the_one_that_was_resolved(config, tmp_path):
    options = {'max_iters': 8, 'model.decode_head.dropout_ratio': 0.3}
    (variant,) = plan_variants([config], peft=['LoRA'], cfg_options=options)
    path = variant.write(tmp_path)
    assert path == tmp_path / 'LoRA/LoRA.py'
    again = load_config(str(path), cfg_options={'randomness.seed': 2}).to_dict()
    again.pop('work_dir')
    assert again == variant.with_seed(2)
    assert again['max_iters'] == 8


def test_configs_as_they_are_and_with_methods(config, tmp_path):
    other = tmp_path / 'other.py'
    other.write_text(f'_base_ = [{config!r}]\n')
    assert [v.name for v in plan_variants([config, str(other)])] == ['tiny', 'other']
    both = plan_variants([config, str(other)], peft=['Frozen'])
    assert [v.name for v in both] == ['tiny-Frozen', 'other-Frozen']


REFUSED = [
    (['LoRA', 'LoRA'], "two variants are called 'LoRA'"),
    (['LoRA', 'lora=LoRA'], "two variants are called 'lora' .*upper from lower"),
    (['a/b=LoRA'], "variant name 'a/b' makes no folder"),
    (['=LoRA'], "variant name '' makes no folder"),
    (['Rein={"num_tokens": }'], "'Rein={.*' is not JSON: .*expected 'Rein50="),
    (['Rein=[1]'], 'is not a JSON object'),
    (['Rein={"options": 3}'], "'Rein': options is 3, not a dict"),
    (['Lora'], "variant 'Lora': .*type='Lora' is not registered; did you mean 'LoRA'"),
    (['LoRA={"rnk": 4}'], "variant 'LoRA': .*takes no 'rnk'.*did you mean 'rank'"),
]


@pytest.mark.parametrize(('peft', 'message'), REFUSED, ids=[' '.join(r[0]) for r in REFUSED])
def test_bad_method(config, peft, message):
    with pytest.raises(UserError, match=message):
        plan_variants([config], peft=peft)


def test_bad_options_and_configs(config, tmp_path):
    with pytest.raises(UserError, match='randomness.seed: the comparison sets it; use --seeds'):
        plan_variants([config], cfg_options={'randomness.seed': 1})
    with pytest.raises(UserError, match=r"decode_head \(LinearHead\) takes no 'channles'"):
        plan_variants([config], cfg_options={'model.decode_head.channles': 32})
    with pytest.raises(UserError, match='does not exist'):
        plan_variants([str(tmp_path / 'none.py')])
    same = tmp_path / 'tiny.py'
    same.write_text(f'_base_ = [{config!r}]\n')
    with pytest.raises(UserError, match="two variants are called 'tiny'.*different names"):
        plan_variants([config, str(same)])


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        (
            "benchmark = dict(protocol='mine')",
            "other has protocol 'mine', tiny has 'miniscapes-256",
        ),
        ("val_evaluator = dict(targets=['clear'])", 'other has val_evaluator.targets'),
    ],
)
def test_benchmarks_do_not_mix(config, tmp_path, line, message):
    other = tmp_path / 'other.py'
    other.write_text(f'_base_ = [{config!r}]\n{line}\n')
    with pytest.raises(UserError, match=message):
        plan_variants([config, str(other)])


def test_a_config_that_no_file_can_hold(config, tmp_path):
    other = tmp_path / 'other.py'
    norm = "optim_wrapper = dict(clip_grad=dict(norm_type=float('inf')))"
    other.write_text(f'_base_ = [{config!r}]\n{norm}\n')
    with pytest.raises(UserError, match='optim_wrapper of the config holds more than numbers'):
        plan_variants([str(other)])


@pytest.mark.parametrize(
    ('peft', 'message'),
    [
        ([3], "comparison.peft has 3: expected 'LoRA'"),
        ([{'type': 'LoRA', 'options': {3: 3}}], 'of names'),
    ],
)
def test_methods_of_other_types_are_refused(peft, message):
    with pytest.raises(UserError, match=message):
        parse_peft(peft)


def test_the_seed_of_a_run_draws_the_images_of_a_few_shot_training():
    few = {'train_dataloader.dataset.shots': 4}
    path = str(REPO / 'configs/frozen_tinyclip_minivehicles.py')
    peft = [dict(type='Frozen', name='Few', options=few), 'Frozen']
    found = [
        v.with_seed(2)['train_dataloader']['dataset'] for v in plan_variants([path], peft=peft)
    ]
    assert [(one.get('shots'), one.get('shot_seed')) for one in found] == [(4, 2), (None, None)]
