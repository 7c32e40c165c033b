"""The time of a batch of training data, with all fast forms and without the readers'."""

from mmengine.config import Config

from rein_seg.bench.loader import _draw
from rein_seg.bench.speed.data import time_data
from rein_seg.bench.speed.tables import _data


def config(root, **changes):
    dataset = dict(
        type='CityscapesSpaceDataset',
        domain='gtav',
        layout='gtav',
        data_root=str(root),
        pipeline=[dict(type='LoadDomainImage'), dict(type='LoadLabels')],
        **changes,
    )
    loader = dict(
        dataset=dataset,
        num_workers=3,
        sampler=dict(type='DefaultSampler', shuffle=True),
        collate_fn=dict(type='pseudo_collate'),
    )
    return Config(dict(train_dataloader=loader))


def test_the_same_data_are_read_with_and_without_the_named_readers(tmp_path):
    _draw(tmp_path, 2, (64, 48))
    left_out = {'all': (), 'plain readers': ('rust_png',), 'other': ('winograd',)}
    found = time_data(config(tmp_path), batch=2, repeats=2, left_out=left_out)
    assert found['workers'] == 3
    assert list(found['without']) == ['plain readers']
    one = found['without']['plain readers']
    assert one['ratio_range'][0] <= one['ratio'] <= one['ratio_range'][1]
    text = _data({**found, 'seconds': 0.06}, 0.6)
    assert 'data: 60.0 ms a batch in one process, 10.0% of a step; the config has 3 work' in text
    assert 'data, plain readers: ' in text


def test_missing_data_are_said(tmp_path):
    found = time_data(config(tmp_path / 'none'), batch=1, repeats=1)
    assert 'is not there' in found['not_measured']
    assert _data(found, 1.0).startswith('data: not measured')
