"""Each value of a config with its author, as `rein-seg show` prints them."""

import pytest

from rein_seg.config.describe import describe, explain
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from tests.paths import REPO


@pytest.fixture(scope='module')
def gtav():
    options = {'model.backbone.peft.rank': 8, 'max_iters': 20}
    return resolve(str(REPO / 'configs/rein_dinov2_gtav.py'), Request(options=options))


def said(resolved, key):
    return {
        line.key.removeprefix(f'{key}.'): (line.value, line.origin)
        for line in explain(resolved, key)
    }


def test_every_kind_of_author(gtav):
    leaf = 'configs/rein_dinov2_gtav.py'
    assert said(gtav, 'model.backbone.peft')['type'] == ('Rein', leaf)
    assert said(gtav, 'model.backbone.peft')['rank'] == (8, 'option')
    assert said(gtav, 'model.backbone.peft')['num_tokens'] == (100, 'default of Rein')
    encoder = 'configs/_base_/encoders/dinov2_large.py (encoder)'
    assert said(gtav, 'model.backbone')['encoder.arch'] == ('large', encoder)
    assert said(gtav, 'model.backbone')['activation_checkpointing'] == (
        False,
        'default of PEFTBackbone',
    )
    assert said(gtav, 'randomness') == {'seed': (42, 'configs/_base_/runtime.py')}
    assert said(gtav, 'test_evaluator')['targets'][1] == 'benchmark gtav_to_urban'
    assert said(gtav, 'optim_wrapper')['optimizer.lr'] == (1e-4, 'protocol rein512')
    assert said(gtav, 'work_dir') == {'work_dir': ('work_dirs/rein_dinov2_gtav', 'default')}


def test_one_value_set_or_left_to_its_default(gtav):
    assert [(line.value, line.origin) for line in explain(gtav, 'max_iters')] == [(20, 'option')]
    (line,) = explain(gtav, 'model.backbone.peft.zero_init')
    assert (line.value, line.origin) == (False, 'default of Rein')


def test_a_whole_config_ends_with_its_protocol_and_deviations(gtav):
    *lines, last = describe(gtav)
    assert len(lines) == len(list(gtav.origins))
    assert all('  # ' in line for line in lines)
    assert last == '# protocol rein512, changed: max_iters 20 instead of 40000'


def test_a_file_of_the_user_has_its_path(tmp_path):
    leaf = tmp_path / 'leaf.py'
    leaf.write_text("_base_ = './rein_tiny_miniscapes.py'\nrandomness = dict(seed=7)\n")
    (tmp_path / 'rein_tiny_miniscapes.py').write_text(
        f'_base_ = [{str(REPO / "configs/rein_tiny_miniscapes.py")!r}]\nepochs = 3\n'
    )
    found = resolve(str(leaf))
    assert said(found, 'randomness') == {'seed': (7, str(leaf))}
    assert said(found, 'epochs') == {'epochs': (3, str(tmp_path / 'rein_tiny_miniscapes.py'))}


def test_unknown_keys(gtav):
    with pytest.raises(
        UserError, match="no 'model.backbone.pef'; did you mean 'model.backbone.peft"
    ):
        explain(gtav, 'model.backbone.pef')
