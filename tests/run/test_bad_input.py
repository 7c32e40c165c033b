"""Bad input ends before training starts, with one clear line and exit code 2."""

import cv2
import numpy as np
import pytest
import torch

from rein_seg.apis import train
from rein_seg.checkpoint import read_adapter, save_adapter
from rein_seg.errors import UserError
from tests.cli.calls import assert_refused, call
from tests.paths import REPO
from tests.run.tiny_run import tiny_config, write_config


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A finished run to take adapter, checkpoint and scenes from."""
    folder = tmp_path_factory.mktemp('bad')
    train(tiny_config(folder, train_cfg__max_iters=2))
    return folder


OPTIONS = [
    (
        ['model.backbone.peft.type=Lora'],
        ("model.backbone.peft.type='Lora' is not registered", "did you mean 'LoRA'"),
    ),
    (
        ['model.decode_head.type=LinearHed'],
        ("decode_head.type='LinearHed' is not registered", "'LinearHead'"),
    ),
    (
        ['model.backbone.encoder.type=mmpretrain.VisionTransfomer'],
        ("encoder.type='mmpretrain.VisionTransfomer' is not registered", 'VisionTransformer'),
    ),
    (['train_dataloader.dataset.type=MiniScape'], ("type='MiniScape'", 'MiniScapesDataset')),
    (['model.backbone.peft.rnk=4'], ("takes no 'rnk'", "did you mean 'rank'")),
    (['optim_wrapper.optimizer.type=AdmW'], ("type='AdmW'", 'AdamW')),
    (
        ['optim_wrapper.constructor=Trainable'],
        ("constructor='Trainable'", 'TrainableOptimConstructor'),
    ),
    (
        ['model.decode_head.loss_decode.type=CrosEntropyLoss'],
        ("model.decode_head.loss_decode.type='CrosEntropyLoss'", 'CrossEntropyLoss'),
    ),
    (['train_cfg.type=IterTrainLoop'], ("train_cfg.type='IterTrainLoop'", 'IterBasedTrainLoop')),
    (['default_hooks.logger.type=Loger'], ("default_hooks.logger.type='Loger'", 'LoggerHook')),
    (['model.backbone.encoder.img_siz=32'], ("takes no 'img_siz'", "did you mean 'img_size'")),
    (['model.decode_head.channles=32'], ("takes no 'channles'", "did you mean 'channels'")),
    (['randomnes.seed=1'], ('--cfg-options randomnes: not in the config', "'randomness'")),
    (['val_evaluator.targets=[nihgt]'], ("names the domain 'nihgt'", "did you mean 'night'")),
    (['val_evaluator.source=claer'], ("names the domain 'claer'", "did you mean 'clear'")),
    (['model.backbone.encoder.out_indices=[0,2]'], ('out_indices=[0, 2] goes beyond', '2 blocks')),
    (['model.backbone.encoder.out_indices=[0,7]'], ('Invalid out_indices 7',)),
    (
        ['max_iters=6', 'param_scheduler.0.begin=20', 'param_scheduler.0.end=6'],
        ('PolyLR begins at iteration 20 and ends at 6', 'train longer'),
    ),
    (['model.num_classes=7'], ('19 classes, the model num_classes=7',)),
    (['train_dataloader.dataset.domain=clera'], ('clera', 'clear')),
    (['model.decode_head.num_classes=7'], ('num_classes=7, the model num_classes=19',)),
    (['model.test_cfg.mode=slide'], ('test_cfg.crop_size',)),
    (
        ['param_scheduler.0.by_epoch=True'],
        ('param_scheduler.0 (PolyLR) has by_epoch=True', 'give param_scheduler.0.by_epoch=False'),
    ),
    (
        ['default_hooks.checkpoint.by_epoch=True'],
        ('default_hooks.checkpoint (CheckpointHook) has by_epoch=True', 'never act'),
    ),
    (
        ['optim_wrapper.accumulative_counts=7'],
        ('accumulative_counts=7: the training has 6 iterations', 'max_iters'),
    ),
    (
        ['optim_wrapper.optimizer.fused=True', 'optim_wrapper.optimizer.foreach=True'],
        ('optim_wrapper: RuntimeError', 'correct this part of the config; the traceback is in'),
    ),
    (['model.decode_head.in_index=9'], ('decode_head.in_index=9, but there are 2 maps',)),
    (
        ['model.test_cfg.mode=slide', 'model.test_cfg.crop_size=[64,64]',
         'model.test_cfg.stride=[32,32]'],
        ('test_cfg.crop_size (64, 64) is larger than the image (32, 64)',),
    ),
]  # fmt: skip


@pytest.mark.parametrize(('options', 'parts'), OPTIONS, ids=[o[0][0] for o in OPTIONS])
def test_bad_option(folder, tmp_path, options, parts):
    config = write_config(folder)
    work_dir = tmp_path / 'run'
    code, err = call(
        'train', config, '--work-dir', str(work_dir), '--cfg-options', *options,
    )  # fmt: skip
    assert_refused(code, err, *parts)
    assert not list(work_dir.glob('*.pth'))


def test_crop_larger_than_the_image(folder):
    extra = (
        'train_dataloader = dict(batch_size=2, dataset=dict(count=7, size=(64, 32), pipeline=['
        "dict(type='LoadImageFromFile'), dict(type='LoadLabels'), "
        "dict(type='RandomCrop', crop_size=(48, 48)), dict(type='PackDomainInputs')]))\n"
    )
    code, err = call('train', write_config(folder, extra=extra))
    assert_refused(code, err, 'crop_size (48, 48) is larger than the image (32, 64)')


PIPELINES = [
    (
        "dict(type='LoadImageFromFile'), dict(type='RandomFlip', prob=0.5, direction='up')",
        'train_dataloader: step 1 of a pipeline, RandomFlip: AssertionError',
    ),
    (
        "dict(type='LoadImageFromFile'), dict(type='RandomChoiceResize', scales=[]), "
        "dict(type='PackDomainInputs')",
        'step RandomChoiceResize of its pipeline: ValueError',
    ),
    (
        "dict(type='LoadImageFromFile'), dict(type='LoadLabels')",
        "domain 'clear': its pipeline makes no sample for the model: end it with PackDomainInputs",
    ),
]


@pytest.mark.parametrize(('steps', 'part'), PIPELINES)
def test_a_pipeline_that_fails_names_its_step(folder, steps, part):
    extra = f'train_dataloader = dict(dataset=dict(pipeline=[{steps}]))\n'
    code, err = call('train', write_config(folder, extra=extra))
    assert_refused(code, err, part)


def test_resuming_under_another_seed(folder):
    code, err = call(
        'train', write_config(folder), '--resume', '--work-dir', str(folder / 'run'),
        '--cfg-options', 'randomness.seed=4',
    )  # fmt: skip
    assert_refused(code, err, 'has seed 3, this one 4', 'randomness.seed=3')


def test_averaging_hooks_are_refused(folder):
    cfg = tiny_config(folder)
    cfg.custom_hooks = [dict(type='EMAHook')]
    with pytest.raises(UserError, match="'EMAHook' averages weights for validation only"):
        train(cfg)


def test_missing_config_and_nothing_to_resume(folder, tmp_path):
    code, err = call('train', 'configs/rein_tiny_miniscape.py')
    assert_refused(code, err, 'does not exist', "did you mean 'configs/rein_tiny_miniscapes.py'")
    code, err = call('train', write_config(folder), '--resume', '--work-dir', str(tmp_path))
    assert_refused(code, err, '--resume', 'holds no checkpoint')


def test_weights_that_cannot_be_had_end_a_run_before_it_touches_its_folder(folder):
    before = sorted(path.name for path in folder.iterdir())
    encoder = 'model.backbone.encoder'
    options = [f'{encoder}.init_seed=None', f'{encoder}.checkpoint=hf:org/vit']
    code, err = call('train', write_config(folder), '--cfg-options', *options)
    assert_refused(code, err, 'org/vit/resolve/main/model.safetensors', 'REIN_SEG_OFFLINE=1')
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.fixture
def camvid(tmp_path):
    for split in ('day_train', 'day_val', 'dusk_val'):
        for kind, suffix in (('images', '.jpg'), ('labels', '.png')):
            path = tmp_path / 'camvid' / kind / split / f'f{suffix}'
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), np.zeros((360, 480), np.uint8))
    return tmp_path / 'camvid'


def test_data_mistakes(camvid, tmp_path):
    def attempt(root):
        return call(
            'train', str(REPO / 'configs/rein_tiny_camvid.py'), '--work-dir', str(tmp_path / 'r'),
            '--cfg-options', f'data_root={root}',
        )  # fmt: skip

    code, err = attempt(tmp_path / 'nowhere')
    assert_refused(
        code, err, "nowhere/images/day_train' does not exist: put or link", 'data_root=DIR'
    )
    label = camvid / 'labels/dusk_val/f.png'
    cv2.imwrite(str(label), np.full((360, 480), 11, np.uint8))
    code, err = attempt(camvid)
    assert_refused(code, err, str(label), 'holds the ids [11]', '0 to 10')
    label.unlink()
    code, err = attempt(camvid)
    assert_refused(code, err, '1 of 1 images have no label', 'dusk_val/f.png')


def adapter_with(folder, **metadata):
    adapter = read_adapter(folder / 'run/adapter.safetensors')
    model = torch.nn.Module()
    model.state_dict = lambda: adapter.tensors
    path = folder / 'other.safetensors'
    content = {k: v for k, v in adapter.metadata.items() if k not in ('format', 'sha256')}
    save_adapter(path, model, {**content, **metadata})
    return path


def test_weights_that_do_not_fit(folder, tmp_path):
    config = write_config(folder)

    def attempt(path, *options):
        more = ['--cfg-options', *options] if options else []
        return call(
            'test', config, str(path), '--work-dir', str(tmp_path), *more,
            )  # fmt: skip

    good = folder / 'run/adapter.safetensors'
    assert_refused(
        *attempt(good, 'model.backbone.encoder.init_seed=1'),
        'made for another encoder',
        'random:seed=0',
    )
    assert_refused(
        *attempt(good, 'model.backbone.peft.rank=4'),
        'made for another PEFT method',
        'method.rank=16',
    )
    assert_refused(
        *attempt(adapter_with(folder, num_classes=11)),
        'another number of classes: it says num_classes=11, the config gives 19',
    )
    assert_refused(
        *attempt(folder / 'run/iter_2.pth', 'model.backbone.peft.rank=4'),
        'made for another PEFT method',
    )
    assert_refused(
        *attempt(folder / 'run/iter_2.pth', 'model.backbone.encoder.init_seed=1'),
        'made for another encoder',
    )
    assert_refused(
        *attempt(good, 'model.backbone.encoder.arch.num_heads=4'),
        'encoder.config.arch.num_heads=2, the config gives 4',
    )
    assert_refused(*attempt(folder / 'none.pth'), 'does not exist')


def test_damaged_and_dangerous_files(folder, tmp_path):
    config = write_config(folder)
    for name, reason in (('adapter.safetensors', 'truncated'), ('iter_2.pth', 'truncated')):
        content = (folder / 'run' / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
        assert_refused(*call('test', config, str(tmp_path / name)), reason)
    tampered = bytearray((folder / 'run/adapter.safetensors').read_bytes())
    tampered[-3] ^= 1
    (tmp_path / 'adapter.safetensors').write_bytes(tampered)
    assert_refused(
        *call('test', config, str(tmp_path / 'adapter.safetensors')), 'was changed after'
    )

    class Evil:
        def __reduce__(self):
            return exec, ('raise SystemExit("code ran")',)

    torch.save(dict(state_dict={}, extra=Evil()), tmp_path / 'iter_9.pth')
    assert_refused(
        *call('test', config, str(tmp_path / 'iter_9.pth')),
        'would run pickled code',
        'exec',
    )
    assert_refused(
        *call('train', config, '--resume', '--work-dir', str(tmp_path)),
        'would run pickled code',
    )
