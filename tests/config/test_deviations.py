"""What is changed in a protocol is named, and what must not be changed is refused."""

import pytest

from rein_seg.apis import load_config
from rein_seg.config.deviations import check_selection, inherited_deviations, on_targets
from rein_seg.config.load import with_protocol
from rein_seg.config.protocol import ConfigProtocols
from rein_seg.errors import UserError
from tests.config.protocol_facts import (
    evaluation_deviations,
    load,
    selection_text,
    training_deviations,
    training_record,
)

CHANGES = [
    (dict(max_iters=20), ['max_iters 20 instead of 40000']),
    (dict(train_dataloader__batch_size=2), ['batch 2 instead of 4']),
    (dict(model__crop_size=(256, 512)), ['crop_size 256x512 instead of 512x512']),
    (
        dict(optim_wrapper__optimizer__lr=1e-3),
        ['optim_wrapper.optimizer.lr 0.001 instead of 0.0001'],
    ),
    (dict(optim_wrapper__clip_grad__max_norm=1.0), ['optim_wrapper.clip_grad']),
    (dict(optim_wrapper__type='AutocastOptimWrapper'), ['autocast']),
    (dict(train_dataloader__dataset__pipeline=[]), ['train_pipeline']),
    (dict(param_scheduler=[]), ['param_scheduler']),
    (dict(ema=dict(begin=5)), ['ema']),
    (
        dict(train_dataloader__sampler=dict(type='InfiniteSampler')),
        ['sampler.type InfiniteSampler instead of StreamSampler'],
    ),
    (
        dict(protocol='mfuser', train_dataloader__sampler__type='StreamSampler'),
        ['sampler.type StreamSampler instead of RareClassSampler'],
    ),
    (
        dict(protocol='soma512', default_hooks__checkpoint__save_best=None),
        ['selection last instead of mean/mIoU'],
    ),
    (dict(protocol='soma512', train_cfg__val_interval=100), ['val_interval 100 instead of 4000']),
    (dict(protocol='soma512', ema=None), ['ema']),
    (
        dict(default_hooks__stop=dict(type='PatienceHook', monitor='gtav/mIoU')),
        ['early stopping'],
    ),
    (dict(model__backbone__peft__type='LoRA'), []),
    (dict(train_cfg__val_interval=5000, train_dataloader__num_workers=1), []),
    (dict(protocol='tqdm'), ['all source images instead of the split train']),
    (
        dict(protocol='tqdm', train_dataloader__dataset__ann_file='train.txt'),
        ['training data of gtav.ann_file train.txt instead of None'],
    ),
    (
        dict(
            train_dataloader__dataset__layout='cityscapes', train_dataloader__dataset__split='val'
        ),
        [
            'training data of gtav.layout cityscapes instead of gtav',
            'training data of gtav.split val instead of None',
        ],
    ),
    (dict(train_dataloader__dataset__data_prefix__img_path='elsewhere'), []),
    (dict(train_dataloader__dataset__cache_dir='copies'), []),
    (dict(model__data_preprocessor=dict(type='SegDataPreProcessor')), ['data_preprocessor']),
    # what ships under a name is what counts, whatever a config makes of it
    (dict(protocols__rein512__max_iters=10), ['max_iters 10 instead of 40000']),
    (dict(protocols__rein512__batch_size=1), ['batch 1 instead of 4']),
    (
        dict(protocol='vfmseg', default_hooks__checkpoint__save_best='cityscapes/mIoU'),
        ['scales of the resize around 2560x1440'],
    ),
]


@pytest.mark.parametrize(('options', 'changed'), CHANGES, ids=lambda o: str(o)[:40])
def test_what_a_training_deviations_is_named(path, options, changed):
    assert training_deviations(load(path, **options)) == changed


def test_the_batch_counts_over_all_processes(repo, monkeypatch):
    cfg = load_config(str(repo / 'configs/rein_dinov2_gtav_1024.py'))
    assert training_deviations(cfg) == ['batch 2 instead of 8']
    monkeypatch.setattr('mmengine.dist.get_world_size', lambda: 4)
    assert training_deviations(cfg) == []


def test_what_an_evaluation_deviations_is_named(path):
    def changed(use='test', **options):
        return evaluation_deviations(load(path, **options), use)

    assert changed() == changed(model__test_cfg__batch_windows=2) == []
    assert changed(model__test_cfg__window_memory=999) == []
    assert changed(model__test_cfg__stride=[256, 256]) == [
        'test_cfg.stride 256x256 instead of 341x341'
    ]
    assert changed(model__test_cfg__mode='whole') == ['test_cfg.mode whole instead of slide']
    own = {'test_dataloader__dataset__datasets__1__pipeline': []}
    assert changed(**own) == ['test_pipeline of bdd100k']
    assert changed('val', **own) == []
    assert changed(model__test_cfg__mode='whole', protocol='soma512')
    assert changed(protocol='vfmseg') == ['second stage of inference']
    assert changed(custom_hooks=[dict(type='AutocastHook')]) == ['autocast']
    assert changed(protocols__rein512__test_cfg__stride=(512, 512)) == [
        'test_cfg.stride 512x512 instead of 341x341'
    ]
    one = {'test_evaluator.targets': ['cityscapes'], 'test_evaluator.ignore_index': 10}
    found = evaluation_deviations(load_config(path, cfg_options=one), 'test')
    assert {
        'metric.targets cityscapes instead of cityscapes, bdd100k, mapillary',
        'metric.ignore_index 10 instead of None',
        'test data of cityscapes.ignore_index 10 instead of None',  # one value in all places
    } <= set(found)
    assert changed(test_evaluator__absent='zero') == ['metric.absent zero instead of None']
    corrupted = {'test_dataloader.dataset.datasets.0.corruption': ['fog', 1]}
    assert evaluation_deviations(load_config(path, cfg_options=corrupted), 'test') == [
        'test data of cityscapes.corruption fog, 1 instead of None'
    ]


def test_weights_bring_what_was_changed_in_their_training(path, rein512, repo):
    record = training_record(rein512)
    assert record == dict(
        benchmark='gtav_to_urban', protocol='rein512', changed=[], selection='last', max_iters=40000
    )
    soma = with_protocol(rein512, 'soma512')
    assert inherited_deviations(rein512, record) == []
    assert inherited_deviations(soma, record) == ['trained under rein512']
    assert inherited_deviations(soma, None) == ['training not recorded']
    short = training_record(load(path, max_iters=20))
    assert inherited_deviations(rein512, short) == ['max_iters 20 instead of 40000']
    assert inherited_deviations(soma, short) == ['trained under a changed rein512']
    acdc = load_config(str(repo / 'configs/rein_dinov2_cityscapes_to_acdc.py'))
    other = dict(training_record(with_protocol(rein512, 'rein1024')), changed=[])
    assert inherited_deviations(acdc, other) == ['trained for gtav_to_urban']
    # the two of binary tasks train alike
    task = load_config(str(repo / 'configs/conv_lora_sam_huge_polyp.py'))
    square = with_protocol(task, 'square1024')
    assert inherited_deviations(square, training_record(task)) == []


def check_selection_of(cfg):
    check_selection(ConfigProtocols(cfg))


def refused(path, **options):
    cfg = load(path, **options)
    with pytest.raises(UserError) as caught:
        check_selection_of(cfg)
    return str(caught.value)


def test_nothing_is_chosen_on_targets_unless_the_protocol_does(path, rein512):
    check_selection_of(rein512)
    check_selection_of(with_protocol(rein512, 'soma512'))
    message = refused(path, default_hooks__checkpoint__save_best='mean/mIoU')
    assert "default_hooks.checkpoint.save_best='mean/mIoU' chooses on target domains" in message
    assert "protocol 'rein512' does not" in message
    assert message.endswith('or protocol=soma512, which does')
    for key in ('cityscapes/mIoU', 'auto', 'mIoU', ['gtav/mIoU', 'mean/aAcc']):
        assert 'chooses on target' in refused(path, default_hooks__checkpoint__save_best=key)
    stop = dict(type='PatienceHook', monitor='mean/mIoU')
    assert 'default_hooks.stop.monitor' in refused(path, default_hooks__stop=stop)
    both = dict(protocol='soma512', default_hooks__checkpoint__save_best='bdd100k/mIoU')
    assert 'its numbers are of the best checkpoint by mean/mIoU' in refused(path, **both)
    one = dict(default_hooks__checkpoint__save_best='cityscapes/mIoU')
    check_selection_of(load(path, protocol='vfmseg', **one))
    assert 'vfmseg' in refused(path, **one)
    # neither another definition of the protocol nor another source of the metric allows it
    own = dict(one, protocols__rein512__also_selects=['cityscapes/mIoU'])
    assert "protocol 'rein512' does not" in refused(path, **own)
    assert 'chooses on target' in refused(path, **one, val_evaluator__source='cityscapes')


def test_the_source_may_choose(repo, tmp_path):
    path = str(repo / 'configs/rein_tiny_miniscapes.py')
    cfg = load(path, default_hooks__checkpoint__save_best='clear/mIoU')
    check_selection_of(cfg)
    assert selection_text(cfg) == 'best of clear/mIoU, every 320 iterations'
    assert 'chooses on target' in refused(path, default_hooks__checkpoint__save_best='night/mIoU')
    task = load_config(str(repo / 'configs/conv_lora_sam_huge_polyp.py'))
    assert task.default_hooks.checkpoint.save_best == 'polyp_val/S'
    check_selection_of(task)  # its validation images are held out of the source's
    assert not on_targets(ConfigProtocols(task), 'polyp_val/S')


def test_the_best_of_vfmseg_is_one_of_several(path):
    cfg = load(path, protocol='vfmseg', default_hooks__checkpoint__save_best='cityscapes/mIoU')
    assert selection_text(cfg) == 'best of cityscapes/mIoU on targets, every 4000 iterations'


def test_a_wrapper_with_a_pipeline_is_named(path):
    one = dict(load_config(path).train_dataloader.dataset)
    mix = dict(type='MultiImageMixDataset', dataset=one, pipeline=[dict(type='RandomMosaic')])
    cfg = load(path, train_dataloader__dataset=dict(mix, _delete_=True))
    assert training_deviations(cfg) == ['training data through MultiImageMixDataset']


def test_another_definition_makes_no_two_protocols_alike(path, rein512):
    record = training_record(rein512)
    cfg = load(path, protocol='soma512', protocols__soma512__base='rein512')
    assert cfg.train_cfg.val_interval == 10000
    assert inherited_deviations(cfg, record) == ['trained under rein512']
