"""Named protocols: what each fills in, how one is swapped for another, what is changed in one."""

import copy

import pytest

from rein_seg.apis import load_config
from rein_seg.config.builtin import protocols
from rein_seg.config.config_paths import datasets_of, same
from rein_seg.config.deviations import check_selection, inherited_deviations, on_targets
from rein_seg.config.load import with_protocol
from rein_seg.config.protocol import ConfigProtocols
from rein_seg.config.resolve import resolve
from rein_seg.config.schedule import check_decay
from rein_seg.errors import UserError

# crop, images x iterations, rate, decay, images of Cityscapes,
# BDD100K, Mapillary, whether Mapillary is halved, stride of windows
TABLE = {
    'rein512': (512, 4, 40000, 1e-4, 0.05, (1024, 512), (1280, 720), (1024, 512), True, 341),
    'rein1024': (1024, 8, 40000, 6e-5, 0.05, (2048, 1024), (2048, 1024), (2048, 1024), True, 683),
    'soma512': (512, 4, 40000, 1e-4, 0.05, (2048, 1024), (1280, 720), (2048, 1024), True, 341),
    'tqdm': (512, 8, 20000, 1e-5, 1e-4, (2048, 1024), (1280, 720), (2048, 1024), False, 341),
    'mfuser': (512, 2, 20000, 1e-4, 1e-5, (2048, 1024), (1280, 720), (2048, 1024), False, 341),
    'vfmseg': (1024, 2, 40000, 1e-4, 0.05, (2048, 1024), (2048, 1024), (2048, 1024), False, 320),
    'vltseg': (512, 16, 5000, 1e-4, 0.05, (1024, 512), (1024, 512), (1024, 512), False, 426),
}


@pytest.fixture(scope='module')
def path(repo):
    return str(repo / 'configs/rein_dinov2_gtav.py')


@pytest.fixture(scope='module')
def rein512(path):
    return load_config(path)


def load(path, **options):
    return load_config(path, cfg_options={k.replace('__', '.'): v for k, v in options.items()})


def training_deviations(cfg):
    return list(resolve(cfg).deviations.training)


def evaluation_deviations(cfg, use='test'):
    return list(getattr(resolve(cfg).deviations, use))


def check_selection_of(cfg):
    check_selection(ConfigProtocols(cfg))


def selection_text(cfg):
    return resolve(cfg).deviations.selection


def training_record(cfg):
    return resolve(cfg).training_record()


def steps(dataset):
    return {step['type']: step for step in dataset.pipeline}


@pytest.mark.parametrize('name', TABLE)
def test_one_word_is_the_whole_protocol(rein512, name):
    cfg = with_protocol(rein512, name)
    crop, batch, iterations, lr, decay, *sizes, halved, stride = TABLE[name]
    assert tuple(cfg.model.crop_size) == (crop, crop)
    gpus = ConfigProtocols(cfg).stated(name).gpus or 1
    assert (cfg.train_dataloader.batch_size * gpus, cfg.train_cfg.max_iters) == (batch, iterations)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (lr, decay)
    assert {schedule.end for schedule in cfg.param_scheduler} >= {iterations}
    found = [steps(dataset) for dataset in cfg.test_dataloader.dataset.datasets]
    assert [one['Resize'].scale for one in found] == sizes
    assert [('HalveLabel' in one) for one in found] == [False, False, halved]
    for one in found:
        order = list(one)
        assert order.index('Resize') < order.index('LoadLabels')  # scored at the label's size
    side = 1024 if name == 'rein1024' else 512
    assert cfg.model.test_cfg.crop_size == (side, side)
    assert cfg.model.test_cfg.stride == (stride, stride)
    assert {cfg.benchmark.protocol, cfg.val_evaluator.protocol, cfg.test_evaluator.protocol} == {
        name
    }
    kind = 'RareClassCrop' if name in ('tqdm', 'mfuser', 'vfmseg') else 'FastRandomCrop'
    assert tuple(steps(cfg.train_dataloader.dataset)[kind].crop_size) == (crop, crop)


def test_what_is_special_of_each(rein512):
    soma, vfmseg, tqdm, vltseg = (
        with_protocol(rein512, name) for name in ('soma512', 'vfmseg', 'tqdm', 'vltseg')
    )
    assert soma.ema == dict(begin=12000, momentum=0.0002)
    assert soma.default_hooks.checkpoint.save_best == 'mean/mIoU'
    assert (soma.train_cfg.val_interval, soma.default_hooks.checkpoint.rule) == (4000, 'greater')
    assert soma.optim_wrapper.paramwise_cfg.prefix_lr_mult == {'backbone.': 0.5}
    decay = soma.param_scheduler[1]
    assert (decay.param_name, decay.eta_min_ratio * 0.05) == ('weight_decay', pytest.approx(1e-5))
    assert [(s.type, s.begin, s.end) for s in tqdm.param_scheduler] == [
        ('LinearLR', 0, 1500),
        ('PolyLR', 1500, 20000),
    ]
    assert [(s.begin, s.end) for s in vltseg.param_scheduler] == [(500, 5000)]
    assert [c.train_dataloader.sampler.type for c in (rein512, tqdm, vfmseg)] == [
        'StreamSampler',
        'RareClassSampler',
        'RareClassSampler',
    ]
    assert [step.type for step in tqdm.train_dataloader.dataset.pipeline][3] == 'RareClassCrop'
    for cfg in (rein512, vfmseg, tqdm, vltseg):
        assert 'ema' not in cfg
        assert selection_text(cfg) == 'last'
    assert selection_text(soma) == 'best of mean/mIoU on targets, every 4000 iterations'


@pytest.mark.parametrize('name', TABLE)
def test_one_protocol_becomes_another_and_back(rein512, path, name):
    other = with_protocol(rein512, name)
    assert same(other.to_dict(), load(path, protocol=name).to_dict())
    assert same(with_protocol(other, 'rein512').to_dict(), rein512.to_dict())


def test_the_config_that_a_run_left_takes_another_protocol(path, tmp_path):
    left = str(tmp_path / 'rein_dinov2_gtav.py')
    load(path, protocol='soma512').dump(left)
    assert load_config(left).benchmark.protocol == 'soma512'
    again = load(left, protocol='rein512')
    assert same(again.test_dataloader, load_config(path).test_dataloader)
    assert 'ema' not in again


def test_what_a_config_says_itself_holds_under_every_protocol(path):
    cfg = load(path, protocol='soma512', max_iters=20000, optim_wrapper__optimizer__lr=1e-3)
    assert (cfg.max_iters, cfg.train_cfg.max_iters) == (20000, 20000)
    assert {schedule.end for schedule in cfg.param_scheduler} == {20000}
    assert cfg.optim_wrapper.optimizer == dict(
        type='AdamW', lr=1e-3, weight_decay=0.05, betas=(0.9, 0.999), eps=1e-8
    )
    back = with_protocol(cfg, 'rein512')
    assert (back.max_iters, back.optim_wrapper.optimizer.lr) == (20000, 1e-3)
    other = load(path, optim_wrapper__optimizer=dict(type='SGD', lr=0.1))
    assert other.optim_wrapper.optimizer == dict(type='SGD', lr=0.1)


def test_protocols_that_are_not_there(path, rein512, repo):
    with pytest.raises(
        UserError, match="protocol='soma'; did you mean 'soma512'.* has rein512, re"
    ):
        load(path, protocol='soma')
    with pytest.raises(UserError, match="protocol='acdc1024'; .*'gtav_to_urban' has rein512"):
        with_protocol(rein512, 'acdc1024')
    acdc = load_config(str(repo / 'configs/rein_dinov2_cityscapes_to_acdc.py'))
    with pytest.raises(UserError, match="'cityscapes_to_acdc' has acdc1024"):
        with_protocol(acdc, 'rein512')
    mini = load_config(str(repo / 'configs/rein_tiny_miniscapes.py'))
    assert with_protocol(mini, 'miniscapes-256x128').benchmark.protocol == 'miniscapes-256x128'
    with pytest.raises(UserError, match="'miniscapes' has miniscapes-256x128"):
        with_protocol(mini, 'rein512')
    with pytest.raises(UserError, match="protocols.rein512 has a key 'ema_begin'; did you mean"):
        load(path, protocols__rein512__ema_begin=3)


def test_domains_may_be_evaluated_as_others(path):
    options = {
        'benchmark.evaluated_as': {'fog_3': 'cityscapes'},
        'test_dataloader.dataset.datasets.0.domain': 'fog_3',
        'val_dataloader.dataset.datasets.0.domain': 'fog_3',
    }
    cfg = load_config(path, cfg_options=options)
    assert steps(cfg.test_dataloader.dataset.datasets[0])['Resize'].scale == (1024, 512)
    del options['benchmark.evaluated_as']
    with pytest.raises(UserError, match="protocol='rein512'; benchmark 'gtav_to_urban' has none"):
        load_config(path, cfg_options=options)


def test_several_sources_get_the_pipeline_of_the_protocol(path):
    """Several sources are one ConcatDataset: an image of each is drawn as often as any other."""
    one = dict(load_config(path).train_dataloader.dataset)
    one.pop('pipeline')
    both = dict(type='ConcatDataset', datasets=[one, {**one, 'domain': 'synthia'}])
    cfg = load(path, train_dataloader__dataset=dict(both, _delete_=True), protocol='soma512')
    pipelines = [dataset.pipeline for dataset in datasets_of(cfg, ('train_dataloader',))]
    assert len(pipelines) == 2
    assert same(pipelines, [protocols()['soma512'].train_pipeline] * 2)
    assert training_deviations(cfg) == ['training data gtav, synthia instead of gtav']


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


def test_decay_that_would_rise_is_refused(rein512):
    soma = with_protocol(rein512, 'soma512')
    check_decay(soma)
    wrong = copy.deepcopy(soma)
    wrong.param_scheduler[1].pop('eta_min_ratio')
    wrong.param_scheduler[1].eta_min = 1e-5
    with pytest.raises(UserError, match='eta_min=1e-05, that of norms and tokens.*eta_min_ratio'):
        check_decay(wrong)


def test_the_average_has_one_place(path):
    hook = dict(type='TrainableEMAHook', momentum=0.1)
    cfg = load(path, custom_hooks=[dict(type='IterationSeedHook'), hook])
    assert [h.type for h in cfg.custom_hooks] == ['IterationSeedHook']
    assert cfg.ema == dict(begin=0, momentum=0.1)
    with pytest.raises(UserError, match='leave one of them out'):
        load(path, custom_hooks=[hook], ema=dict(begin=3))


def test_the_name_of_a_shipped_protocol_is_its_own(path, repo):
    tiny = str(repo / 'configs/rein_tiny_miniscapes.py')
    with pytest.raises(UserError, match="'miniscapes' has miniscapes-256x128: give your own"):
        load(tiny, benchmark__protocol='rein512')
    assert load(tiny, benchmark__protocol='mine').val_evaluator.protocol == 'mine'
    # a benchmark of a user's own may be under it, as it stands
    own = load(path, benchmark__name='mine', max_iters=10)
    assert training_deviations(own) == ['max_iters 10 instead of 40000']
    again = load(path, benchmark__name='mine', protocols__rein512__max_iters=10)
    assert training_deviations(again) == ['max_iters 10 instead of 40000']


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


def test_cityscapes_alone_has_protocols_of_published_systems():
    cfg = load_config('rein_dinov2_gtav', cfg_options={'benchmark': 'cityscapes'})
    assert cfg.benchmark.protocol == 'ddrnet1024'
    assert (cfg.train_dataloader.dataset.split, cfg.val_evaluator.targets) == (
        'train',
        ['cityscapes'],
    )
    assert cfg.model.test_cfg.mode == 'whole'
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (6, 120000)
    optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
    assert cfg.optim_wrapper.optimizer == optimizer
    assert [(s.power, s.begin, s.end) for s in cfg.param_scheduler] == [(0.9, 0, 120000)]
    train, test = steps(cfg.train_dataloader.dataset), steps(cfg.val_dataloader.dataset)
    assert (train['RandomResize'].scale, train['RandomResize'].ratio_range) == (
        (2048, 1024),
        (0.5, 2.0),
    )
    assert train['FastRandomCrop'].crop_size == (1024, 1024)
    assert test['Resize'].scale == (2048, 1024)


def test_the_protocol_of_ftn():
    cfg = load_config('full_ftn_small_ade20k')
    assert cfg.benchmark.protocol == 'ftn512'
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (2, 160000)
    optim = cfg.optim_wrapper
    assert (optim.optimizer.lr, optim.optimizer.weight_decay) == (4e-5, 0.01)
    assert optim.paramwise_cfg.prefix_lr_mult == {'decode_head.': 2.0, 'auxiliary_head.': 2.0}
    keys = optim.paramwise_cfg.custom_keys
    assert keys == dict.fromkeys(('norm', 'cpe', 'ape_embeds'), {'decay_mult': 0.0})
    warmup, poly = cfg.param_scheduler
    assert (warmup.end, poly.power, poly.begin, poly.end) == (1500, 1.0, 1500, 160000)
    assert cfg.model.test_cfg.stride == (341, 341)
    assert steps(cfg.val_dataloader.dataset)['Resize'].scale == (2048, 512)
    assert steps(cfg.train_dataloader.dataset)['FastRandomCrop'].crop_size == (512, 512)


def test_the_protocol_of_hlg():
    cfg = load_config('full_hlg_small_cityscapes')
    assert cfg.benchmark.protocol == 'hlg768'
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_iters) == (16 // 8, 40000)
    optim = cfg.optim_wrapper
    assert (optim.optimizer.lr, optim.optimizer.weight_decay) == (6e-5, 0.0)
    assert optim.paramwise_cfg.prefix_lr_mult == {'decode_head.': 10.0, 'auxiliary_head.': 10.0}
    warmup, poly = cfg.param_scheduler
    assert (warmup.end, poly.power, poly.begin, poly.end) == (1500, 1.0, 1500, 40000)
    assert (cfg.model.test_cfg.crop_size, cfg.model.test_cfg.stride) == ((768, 768), (512, 512))
    assert steps(cfg.val_dataloader.dataset)['Resize'].scale == (2048, 1024)
    assert steps(cfg.train_dataloader.dataset)['FastRandomCrop'].crop_size == (768, 768)
    auxiliary = cfg.model.auxiliary_head
    assert (auxiliary.type, auxiliary.in_index, auxiliary.channels) == ('FCNHead', 2, 256)
    assert auxiliary.loss_decode.loss_weight == 0.4
    assert cfg.model.backbone.encoder.drop_path_rate == 0.1
