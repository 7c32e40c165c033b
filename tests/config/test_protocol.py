"""Named protocols: what each fills in, and how one is swapped for another."""

import copy

import pytest

from rein_seg.apis import load_config
from rein_seg.config.builtin import protocols
from rein_seg.config.config_paths import datasets_of, same
from rein_seg.config.load import with_protocol
from rein_seg.config.protocol import ConfigProtocols
from rein_seg.config.schedule import check_decay
from rein_seg.errors import UserError
from tests.config.protocol_facts import load, selection_text, steps, training_deviations

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
