"""``rein-seg show``: each value of a config, and who set it."""

from rein_seg.cli import main
from tests.cli.calls import assert_refused, call


def shown(capsys, *words):
    """Returns key -> (value, origin) of the lines that the command prints."""
    assert main(['show', *words]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ' = ' in line]
    parts = [(line.partition(' = ')[0], line.partition(' = ')[2]) for line in lines]
    return {key: tuple(x.strip() for x in rest.rsplit('  # ', 1)) for key, rest in parts}


def test_each_value_names_who_set_it(capsys):
    values = shown(capsys, 'rein_dinov2_gtav', '--cfg-options', 'randomness.seed=3')
    assert values['randomness.seed'] == ('3', 'option')
    assert values['model.backbone.peft.type'] == ("'Rein'", 'configs/rein_dinov2_gtav.py')
    assert values['log_level'] == ("'INFO'", 'configs/_base_/runtime.py')
    assert values['optim_wrapper.optimizer.lr'] == ('0.0001', 'protocol rein512')
    assert values['model.num_classes'] == ('19', 'benchmark gtav_to_urban')


def test_a_part_and_another_protocol(capsys):
    words = ('rein_dinov2_gtav', 'optim_wrapper.optimizer', '--protocol', 'tqdm')
    values = shown(capsys, *words)
    assert all(key.startswith('optim_wrapper.optimizer.') for key in values)
    assert values['optim_wrapper.optimizer.lr'] == ('1e-05', 'protocol tqdm')


def test_an_unknown_key_is_refused_with_the_near_miss():
    code, err = call('show', 'rein_tiny_miniscapes', 'model.bakbone')
    assert_refused(code, err, "'model.bakbone'", "'model.backbone'")
