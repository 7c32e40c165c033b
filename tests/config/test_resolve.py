"""One order from files and a request to the config of a run."""

import gzip

import pytest
from mmengine.config import Config

from rein_seg.apis import load_config
from rein_seg.checkpoint import read_adapter
from rein_seg.config.config_paths import datasets_of, same
from rein_seg.config.load import with_protocol
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from rein_seg.export.count import build_shapes
from tests.paths import REPO

GTAV = str(REPO / 'configs/rein_dinov2_gtav.py')
MINISCAPES = str(REPO / 'configs/rein_tiny_miniscapes.py')
OLD_ADAPTERS = sorted((REPO / 'tests/checkpoint/files_0_1').glob('*.logits.safetensors'))


def options(**given):
    return Request(options={key.replace('__', '.'): value for key, value in given.items()})


@pytest.fixture(scope='module')
def gtav():
    return resolve(GTAV)


def test_a_resolved_config_resolves_to_itself_and_the_source_stays(gtav):
    before = gtav.cfg.to_dict()
    request = Request(amp=True, launcher='none', options={'max_iters': 10})
    other = resolve(gtav.cfg, request).cfg
    assert other.train_cfg.max_iters == 10
    assert other.optim_wrapper.type == 'AutocastOptimWrapper'
    assert gtav.cfg.to_dict() == before
    assert resolve(gtav.cfg).cfg.to_dict() == before
    again = resolve(other, request).cfg
    assert again.to_dict() == other.to_dict()
    assert [hook.type for hook in again.custom_hooks] == ['IterationSeedHook', 'AutocastHook']


def test_it_returns_protocol_and_deviations(gtav):
    assert (gtav.protocol.name, gtav.protocol.max_iters) == ('rein512', 40000)
    assert gtav.deviations.training == gtav.deviations.val == gtav.deviations.test == ()
    short = resolve(GTAV, options(max_iters=20, model__test_cfg__mode='whole'))
    assert short.deviations.training == ('max_iters 20 instead of 40000',)
    assert short.deviations.test == ('test_cfg.mode whole instead of slide',)
    assert short.training_record()['changed'] == ['max_iters 20 instead of 40000']


def test_options_change_parts_of_the_benchmark():
    given = {
        'test_dataloader.dataset.datasets.0.split': 'train',
        'train_dataloader.dataset.count': 8,
        'val_dataloader.dataset.datasets.1.pipeline.0.type': 'LoadImageFromFile',
    }
    cfg = load_config(MINISCAPES, cfg_options=given)
    assert [d.split for d in cfg.test_dataloader.dataset.datasets[:2]] == ['train', 'val']
    assert (cfg.train_dataloader.dataset.count, cfg.train_dataloader.batch_size) == (8, 2)
    steps = [d.pipeline[0].type for d in cfg.val_dataloader.dataset.datasets[:2]]
    assert steps == ['LoadDomainImage', 'LoadImageFromFile']


def test_every_value_knows_who_set_it(tmp_path):
    leaf = tmp_path / 'leaf.py'
    leaf.write_text(f'_base_ = [{GTAV!r}]\ntrain_dataloader = dict(batch_size=2)\n')
    request = Request(
        options={'model.backbone.peft.rank': 8, 'data_root': 'x', 'max_iters': 5},
        work_dir='runs',
        amp=True,
    )
    cfg, origins = (found := resolve(str(leaf), request)).cfg, found.origins
    configs = str(REPO / 'configs')
    expected = {
        'train_dataloader.batch_size': str(leaf),
        'model.backbone.peft.type': GTAV,
        'model.backbone.encoder.arch': f'{configs}/_base_/encoders/dinov2_large.py',
        'model.decode_head.num_queries': f'{configs}/_base_/heads/mask2former.py',
        'train_dataloader.num_workers': 'benchmark gtav_to_urban',
        'model.num_classes': 'benchmark gtav_to_urban',
        'optim_wrapper.optimizer.lr': 'protocol rein512',
        'model.crop_size': 'protocol rein512',
        'val_evaluator.protocol': 'protocol rein512',
        'model.backbone.peft.rank': 'option',
        'train_cfg.max_iters': 'option',
        'train_dataloader.dataset.data_root': 'option',
        'work_dir': 'command',
        'optim_wrapper.type': 'command',
        'randomness.seed': f'{configs}/_base_/runtime.py',
    }
    assert {key: origins[key] for key in expected} == expected
    assert cfg.model.backbone.peft == dict(type='Rein', rank=8)


def test_the_config_that_a_run_leaves_is_short_complete_and_takes_another_protocol(gtav, tmp_path):
    text = gtav.cfg.pretty_text
    assert 320 < len(text.splitlines()) < 380
    assert 'soma512' not in text
    left = tmp_path / 'left.py'
    left.write_text(text)
    again = load_config(str(left), work_dir=gtav.cfg.work_dir)
    assert same(again.to_dict(), gtav.cfg.to_dict())
    assert same(Config.fromfile(left).to_dict(), gtav.cfg.to_dict())  # mmengine can read it alone
    soma = with_protocol(again, 'soma512')
    assert same(soma.to_dict(), resolve(GTAV, options(protocol='soma512')).cfg.to_dict())
    assert resolve(soma).protocol.ema == dict(begin=12000, momentum=0.0002)


def test_a_config_of_version_0_1_with_all_protocols_in_it_loads(tmp_path):
    """1,246 lines, under soma512 with 20 iterations."""
    path = tmp_path / 'old.py'
    packed = REPO / 'tests/config/files_0_1/rein_dinov2_gtav.py.gz'
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    assert len(Config.fromfile(path).protocols) == 7
    old = resolve(str(path))
    assert 'protocols' not in old.cfg
    assert old.deviations.training == ('max_iters 20 instead of 40000',)
    new = resolve(GTAV, options(protocol='soma512', max_iters=20))
    variables = ('targets',)  # of the former benchmark file
    content = {key: value for key, value in old.cfg.to_dict().items() if key not in variables}
    expected = new.cfg.to_dict()
    address = expected['model']['backbone']['encoder'].pop('checkpoint_url')
    assert address.endswith('/dinov2_vitl14_pretrain.pth')  # files of 0.1 name none
    assert same(content, expected)
    back = with_protocol(old.cfg, 'rein512')
    assert [step.type for step in back.test_dataloader.dataset.datasets[2].pipeline][1] == (
        'HalveImage'
    )
    assert 'ema' not in back
    changed = load_config(str(path), cfg_options={'protocols.rein512.max_iters': 7})
    assert dict(changed.protocols) == {'rein512': {**old_protocol(path), 'max_iters': 7}}


def old_protocol(path):
    return Config.fromfile(path).protocols.rein512.to_dict()


@pytest.mark.parametrize('logits', OLD_ADAPTERS, ids=lambda path: path.name.split('.')[0])
def test_configs_in_adapters_of_version_0_1_load(logits, tmp_path):
    adapter = str(logits).replace('.logits', '')
    path = tmp_path / 'old.py'
    path.write_text(read_adapter(adapter).metadata['config'])
    found = resolve(str(path))
    assert found.protocol.name == 'miniscapes-256x128'
    # the bases of these tiny runs stand on the definition of today
    record = read_adapter(adapter).metadata['training']
    assert set(found.deviations.training) == set(record['changed'])
    build_shapes(found.cfg)


OWN = """
_base_ = [{encoder!r}, {head!r}, {frame!r}, {schedule!r}, {runtime!r}]
images = dict(
    type='BinaryFolderDataset', domain='here', data_root='data/here',
    metainfo=dict(classes=('background', 'polyp')))
there = dict(images, domain='there', data_root='data/there', test_mode=True)
benchmark = dict(name='my_polyps', selection=dict(metric='here/Dice_set', rule='greater'))
train_dataloader = dict(dataset=dict(images, part='train'))
val_dataloader = dict(dataset=dict(images, part='val', test_mode=True))
test_dataloader = dict(dataset=there)
val_evaluator = dict(source='here')
test_evaluator = dict(targets=['there'])
data_root = None
epochs = 3
model = dict(
    backbone=dict(encoder={{{{_base_.encoder}}}}, peft=dict(type='ConvLoRA')),
    decode_head={{{{_base_.decode_head}}}})
"""


@pytest.fixture
def own(tmp_path):
    """The example of docs/reference/datasets.md."""
    bases = {
        'encoder': 'encoders/sam_tiny',
        'head': 'heads/sam_tiny',
        'frame': 'benchmarks/binary_1024',
        'schedule': 'schedules/adamw_conv_lora',
        'runtime': 'runtime',
    }
    path = tmp_path / 'own.py'
    places = {key: str(REPO / f'configs/_base_/{base}.py') for key, base in bases.items()}
    path.write_text(OWN.format(**places))
    return str(path)


def test_a_benchmark_of_a_users_own_on_a_frame(own):
    found = resolve(own)
    cfg = found.cfg
    assert cfg.benchmark.name == 'my_polyps'
    assert (cfg.model.num_classes, cfg.model.crop_size) == (2, (1024, 1024))
    assert cfg.default_hooks.checkpoint.save_best == 'here/Dice_set'
    assert [dataset.data_root for dataset in datasets_of(cfg)] == [
        'data/here', 'data/here', 'data/there',
    ]  # fmt: skip
    assert [len(dataset.pipeline) for dataset in datasets_of(cfg)] == [5, 4, 4]
    assert found.protocol.name == 'original'
    assert found.deviations.training == found.deviations.test == ()
    square = with_protocol(cfg, 'square1024')
    assert square.test_dataloader.dataset.pipeline[3].type == 'ScoreAtInputSize'


def test_a_benchmark_of_a_users_own_written_in_full(own):
    """Nothing shipped but the protocol's name; then a protocol of its own."""
    given = {
        'benchmark': dict(
            _delete_=True, name='mine', num_classes=2, evaluated_as={'there': 'bdd100k'}
        ),
        'protocol': 'rein512',
        'val_dataloader.dataset.domain': 'cityscapes',
    }
    options_ = {**given, 'default_hooks.checkpoint.save_best': None}
    options_ |= {'default_hooks.early_stopping': None}
    found = resolve(own, Request(options=options_))
    resizes = [
        next(step.scale for step in dataset.pipeline if step.type == 'Resize')
        for dataset in datasets_of(found.cfg, ('val_dataloader', 'test_dataloader'))
    ]
    assert resizes == [(1024, 512), (1280, 720)]
    assert found.cfg.model.crop_size == (512, 512)
    assert found.deviations.test == ()
    changes = {
        'protocols': dict(short=dict(base='rein512', crop_size=(64, 64))),
        'protocol': 'short',
    }
    short = resolve(own, Request(options={**options_, **changes}))
    assert short.cfg.model.crop_size == (64, 64)
    assert 'crop_size' not in ' '.join(short.deviations.training)
    with pytest.raises(UserError, match="protocols.short.base='rein51'; did you mean 'rein512'"):
        resolve(own, Request(options={**options_, **changes, 'protocols.short.base': 'rein51'}))


def test_another_benchmark_is_one_option(gtav):
    given = {'benchmark': 'cityscapes_to_acdc', 'train_dataloader.batch_size': 1}
    found = resolve(GTAV, Request(options=given))
    assert found.protocol.name == 'acdc1024'
    assert found.cfg.benchmark.name == 'cityscapes_to_acdc'
    assert found.deviations.training == ('batch 1 instead of 8',)
    assert found.origins['test_evaluator.targets'] == 'benchmark cityscapes_to_acdc'
    with pytest.raises(UserError, match="benchmark='to_acdc'; did you mean 'cityscapes_to_acdc'"):
        load_config(GTAV, cfg_options={'benchmark': 'to_acdc'})
    with pytest.raises(UserError, match="benchmark='polyp' .* give it with the config file"):
        resolve(gtav.cfg, Request(options={'benchmark': 'polyp'}))


def test_a_comparison_is_no_part_of_a_run():
    cfg = load_config(str(REPO / 'configs/compare_miniscapes.py'))
    assert 'comparison' not in cfg


def test_a_request_sets_outputs_and_folders(tmp_path):
    request = Request(subfolder='test', out='masks', show_dir='pictures', weights_given=True)
    cfg = resolve(MINISCAPES, request).cfg
    assert cfg.work_dir == 'work_dirs/rein_tiny_miniscapes/test'
    assert cfg.test_evaluator.output_dir == 'masks'
    assert 'output_dir' not in cfg.val_evaluator
    assert (cfg.default_hooks.visualization.draw, cfg.visualizer.save_dir) == (True, 'pictures')
    assert (cfg.load_from, cfg.resume) == (None, False)
    assert resolve(MINISCAPES, Request(subfolder='test', work_dir='w')).cfg.work_dir == 'w'


def test_data_alone_need_no_model():
    cfg = resolve(
        str(REPO / 'configs/_base_/benchmarks/polyp.py'),
        Request(data_only=True, options={'data_root': 'x'}),
    ).cfg
    assert {dataset.data_root for dataset in datasets_of(cfg)} == {'x'}
    with pytest.raises(UserError, match="the config has no 'model': name a base"):
        resolve(str(REPO / 'configs/_base_/benchmarks/polyp.py'))


def test_old_words_of_a_method_are_for_old_files_alone(tmp_path):
    leaf = tmp_path / 'leaf.py'
    leaf.write_text(
        f'_base_ = [{MINISCAPES!r}]\n'
        "model = dict(backbone=dict(peft=dict(type='LoRA', parts=['q', 'v'])))\n"
    )
    cfg = resolve(load_config(str(leaf)), Request(launcher='none')).cfg
    with pytest.raises(UserError, match="LoRA takes no 'parts': it is called targets"):
        build_shapes(cfg)
    left = tmp_path / 'left.py'
    left.write_text(cfg.pretty_text)
    assert load_config(str(left)).model.backbone.peft == dict(type='LoRA', targets=['q', 'v'])
