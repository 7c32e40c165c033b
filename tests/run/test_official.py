"""Official Rein checkpoints through the tools: tested, converted there and back; sizes refused."""

import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.apis import init_model, load_config
from rein_seg.checkpoint import (
    load_adapter,
    read_adapter,
    read_checkpoint,
    save_checkpoint,
    to_official,
)
from rein_seg.errors import UserError
from rein_seg.export.convert import convert
from rein_seg.export.count import build_shapes
from rein_seg.run.test import load_weights
from rein_seg.run.test import test as run_test
from tests.checkpoint import official_model
from tests.cli.calls import assert_refused, call
from tests.run.tiny_run import tiny_config, write_config

MODEL = """
model = dict(
    backbone=dict(
        encoder=dict(
            _delete_=True, name='tiny', type='DINOv2', img_size=64, out_indices=[0, 1, 2, 3],
            arch=dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64),
            checkpoint={encoder!r}),
        peft=dict(type='Rein', num_tokens=8, rank=4, query_dims=32)),
    decode_head=dict(
        _delete_=True, type='Mask2FormerHead', feat_channels=32, num_queries=8, num_heads=4,
        encoder_layers=2, decoder_layers=3, encoder_hidden=48, decoder_hidden=48, norm_groups=8))
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A folder with official files, and one adapted to 19 classes: ``adapter19.pth``."""
    folder = tmp_path_factory.mktemp('official')
    official_model.write(folder)
    content = read_checkpoint(folder / 'adapter.pth')
    for leaf, shape in (('weight', (20, 32)), ('bias', (20,))):
        content['state_dict'][f'decode_head.cls_embed.{leaf}'] = torch.randn(shape)
    save_checkpoint(folder / 'adapter19.pth', content)
    return folder


def extra(folder):
    return MODEL.format(encoder=str(folder / 'encoder.pth'))


def test_official_file_is_tested_as_it_is(folder):
    cfg = tiny_config(folder, extra=extra(folder))
    results = run_test(cfg, str(folder / 'adapter19.pth'))
    assert results['weights_file'] == 'adapter19.pth'
    assert results['domains'].keys() == {'clear', 'night'}
    logs = [path.read_text() for path in (folder / 'run').rglob('*.log')]
    assert any('official Rein checkpoint from' in log for log in logs)


def test_there_and_back_bit_for_bit(folder, tmp_path):
    cfg = tiny_config(folder, extra=extra(folder))
    official, adapter, back = (
        folder / 'adapter19.pth',
        tmp_path / 'a.safetensors',
        tmp_path / 'b.pth',
    )
    report = convert(cfg, str(official), str(adapter))
    assert report.startswith('official Rein checkpoint from')
    made = read_adapter(adapter)
    assert made.metadata['converted_from'] == 'adapter19.pth'
    assert made.metadata['scores']['protocol'] == 'miniscapes-256x128'
    assert 'DINOv2' in made.metadata['config']
    assert '0 unexpected' in convert(cfg, str(adapter), str(back))
    first, last = (read_checkpoint(path)['state_dict'] for path in (official, back))
    assert set(first) == set(last)
    assert all(torch.equal(first[name], last[name]) for name in first)
    assert len(read_checkpoint(back)['meta']['dataset_meta']['classes']) == 19


def test_converted_files_make_the_same_model(folder, tmp_path):
    cfg = tiny_config(folder, extra=extra(folder))
    official = folder / 'adapter19.pth'
    convert(cfg, str(official), str(tmp_path / 'a.safetensors'))
    image = torch.randn(1, 3, 32, 64)
    outputs = []
    for weights in (official, tmp_path / 'a.safetensors'):
        model = init_model(cfg, str(weights), device='cpu')
        with torch.no_grad():
            outputs.append(model.encode_decode(image, [dict(img_shape=(32, 64))]))
    assert torch.equal(*outputs)
    model = MODELS.build(cfg.model)
    assert '0 unexpected' in load_adapter(tmp_path / 'a.safetensors', model, model.identity)


def test_training_checkpoint_into_both(folder, tmp_path):
    cfg = tiny_config(folder, extra=extra(folder))
    model = MODELS.build(cfg.model)
    load_weights(model, str(folder / 'adapter19.pth'))
    own = dict(state_dict=model.state_dict(), meta=dict(identity=model.identity))
    save_checkpoint(tmp_path / 'iter_1.pth', own)
    for name in ('a.safetensors', 'official.pth'):
        convert(cfg, str(tmp_path / 'iter_1.pth'), str(tmp_path / name))
    first = read_checkpoint(folder / 'adapter19.pth')['state_dict']
    last = read_checkpoint(tmp_path / 'official.pth')['state_dict']
    assert all(torch.equal(first[name], last[name]) for name in first)


def test_full_model_has_the_published_tensors(repo):
    """303 tensors, 23 569 877 values, as in the released checkpoint; without any weights."""
    model = build_shapes(load_config(str(repo / 'configs/rein_dinov2_gtav.py')))
    state = to_official(model.state_dict())
    assert (len(state), sum(t.numel() for t in state.values())) == (303, 23_569_877)
    assert state['backbone.reins.learnable_tokens_a'].shape == (24, 100, 16)
    assert state['backbone.reins.merge.weight'].shape == (256, 768)


def test_conversions_that_make_no_sense(folder, tmp_path):
    config = write_config(folder, extra=extra(folder))
    official = str(folder / 'adapter19.pth')
    assert_refused(*call('convert', config, official, 'x.bin'), 'expected a name in .safet')
    assert_refused(*call('convert', config, official, official), 'is the file to convert')
    missing = call('convert', config, 'none.pth', str(tmp_path / 'a.safetensors'))
    assert_refused(*missing, "'none.pth' does not exist")
    five = call('convert', config, str(folder / 'adapter.pth'), str(tmp_path / 'a.pth'))
    assert_refused(*five, 'made for 5 classes, the config has num_classes=19')
    lost = ['--cfg-options', 'model.backbone.encoder.checkpoint=lost.pth']
    assert_refused(
        *call('convert', config, official, str(tmp_path / 'a.pth'), *lost),
        "'tiny': weights file 'lost.pth' does not exist",
    )
    assert not list(tmp_path.iterdir())


def test_model_without_official_layout(folder, tmp_path):
    cfg = tiny_config(folder)
    model = MODELS.build(cfg.model)
    own = dict(state_dict=model.state_dict(), meta=dict(identity=model.identity))
    save_checkpoint(tmp_path / 'iter_1.pth', own)
    with pytest.raises(UserError, match='another method or head has no place in it'):
        convert(cfg, str(tmp_path / 'iter_1.pth'), str(tmp_path / 'b.pth'))
    assert not (tmp_path / 'b.pth').exists()


def test_sizes_that_the_patch_does_not_divide(folder, tmp_path):
    config = write_config(folder, extra=extra(folder))

    def attempt(*options):
        return call('train', config, '--work-dir', tmp_path / 'run', '--cfg-options', *options)

    assert_refused(
        *attempt('model.crop_size=[40,72]'),
        "train_dataloader, domain 'clear'", "multiples of its patch, 16 pixels, not (40, 72)",
    )  # fmt: skip
    slide = ['model.test_cfg.mode=slide', 'model.test_cfg.crop_size=[24,64]',
             'model.test_cfg.stride=[24,64]']  # fmt: skip
    assert_refused(*attempt(*slide), "val_dataloader, domain 'clear'", 'not (24, 64)')
    assert not list((tmp_path / 'run').rglob('*.pth'))


def test_whole_test_images_of_a_size_the_patch_does_not_divide(folder):
    cfg = tiny_config(folder, extra=extra(folder))
    resize = dict(type='Resize', scale=(72, 40), keep_ratio=False)
    cfg.test_dataloader.dataset.datasets[1].pipeline.insert(1, resize)
    cfg.test_dataloader.batch_size = 1  # a batch of two sizes is refused before
    with pytest.raises(
        UserError, match=r"domain 'night'.*: .* 16 pixels, not \(40, 72\) .*\(32, 64\)"
    ):
        run_test(cfg, str(folder / 'adapter19.pth'))
