"""The shipped definitions: complete, frozen, and named by their config files in one line."""

import dataclasses

import pytest

from rein_seg.apis import load_config
from rein_seg.config import builtin
from rein_seg.config.builtin import benchmarks, find_benchmark, protocols
from rein_seg.config.definitions import Protocol, to_config
from rein_seg.errors import UserError
from tests.paths import REPO

FILES = sorted((REPO / 'configs/_base_/benchmarks').glob('*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_a_file_names_its_benchmark_in_one_line(path):
    *header, line = path.read_text().splitlines()
    assert header
    assert all(one.startswith('#') for one in header)
    assert line == f"benchmark = '{path.stem}'"


def test_every_benchmark_has_a_file_and_names_protocols_that_exist():
    assert sorted(benchmarks()) == [path.stem for path in FILES]
    for benchmark in benchmarks().values():
        assert benchmark.protocol_names
        assert set(benchmark.protocols) <= set(protocols())
        assert bool(benchmark.sizes_as) != bool(benchmark.protocols)
        scored = {domain.name for use in ('val', 'test') for domain in benchmark.domains(use)}
        assert set(benchmark.targets) <= scored


def test_definitions_are_frozen_and_configs_get_copies():
    polyp = find_benchmark('polyp')
    with pytest.raises(dataclasses.FrozenInstanceError):
        polyp.epochs = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        protocols()['rein512'].max_iters = 3
    cfg = load_config(str(REPO / 'configs/conv_lora_sam_base_polyp.py'))
    cfg.test_dataloader.dataset.datasets[0].metainfo.classes = ('changed',)
    cfg.train_dataloader.dataset.pipeline[0].type = 'Changed'
    content = polyp.content()
    content['benchmark']['selection']['metric'] = 'changed'
    again = load_config(str(REPO / 'configs/conv_lora_sam_base_polyp.py'))
    assert again.test_dataloader.dataset.datasets[0].metainfo.classes == ('background', 'polyp')
    assert again.train_dataloader.dataset.pipeline[0].type == 'LoadDomainImage'
    assert again.benchmark.selection.metric == 'polyp_val/S'


def test_options_reach_what_is_a_tuple_in_a_definition():
    value = to_config({'steps': (dict(type='A', size=(2, 3)),)})
    assert value == {'steps': [{'type': 'A', 'size': (2, 3)}]}


def test_an_evaluator_scores_the_domains_that_its_loader_has():
    polyp = find_benchmark('polyp')
    assert polyp.metric_node('val') == dict(type='BinarySegMetric', source='polyp_val')
    assert polyp.metric_node('test') == dict(type='BinarySegMetric', targets=['kvasir', 'cvc612'])
    urban = find_benchmark('cityscapes_to_urban')
    expected = dict(type='DomainIoUMetric', source='cityscapes', targets=['bdd100k', 'mapillary'])
    assert urban.metric_node('val') == urban.metric_node('test') == expected
    assert find_benchmark('trans10k_v2').metric_node('test')['absent'] == 'zero'


def test_two_protocols_of_one_name_are_an_error(monkeypatch):
    class One:
        PROTOCOLS = {'one': Protocol()}

    One.__name__ = 'b'
    monkeypatch.setattr(builtin, '_modules', lambda _: [One, One])
    with pytest.raises(ValueError, match="b: protocol 'one' is defined elsewhere, too"):
        protocols.__wrapped__()


def test_unknown_names_have_near_misses():
    with pytest.raises(UserError, match="benchmark='gtav_to_urbn'; did you mean 'gtav_to_urban'"):
        find_benchmark('gtav_to_urbn')
    with pytest.raises(UserError, match="protocols.mine has a key 'max_iter'; .* 'max_iters'"):
        Protocol().changed('mine', {'max_iter': 3})
