"""Runs of the pretraining with captions, their file, and its zero-shot scores."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from rein_seg.cli import main
from rein_seg.encoders import build_encoder
from rein_seg.errors import UserError
from rein_seg.fast.onednn_matmul import onednn
from rein_seg.pretrain.captions.lexicon import WORDS
from rein_seg.pretrain.captions.loop import CaptionTraining
from rein_seg.pretrain.captions.run import pretrain_clip
from rein_seg.pretrain.captions.settings import chosen
from rein_seg.pretrain.captions.stream import batches
from rein_seg.pretrain.captions.tables import zero_shot_tables
from rein_seg.pretrain.captions.zero_shot import _seen_unseen, zero_shot
from rein_seg.pretrain.training import run_training
from rein_seg.text.source import build_source, embed_texts
from tests.run.tiny_run import tiny_config

RUN = dict(budget='smoke', size=(64, 32), steps=3, pictures=2, save_every=2, workers=0)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    return pretrain_clip(tmp_path_factory.mktemp('whole'), **RUN)


@pytest.fixture
def cfg(tmp_path):
    cfg = tiny_config(tmp_path)
    cfg.model.backbone.encoder = dict(type='TinyCLIP', name='TinyCLIP', checkpoint='missing')
    cfg.benchmark.unseen = ('sidewalk', 'vegetation', 'bus', 'bicycle')
    return cfg


def test_the_file_is_small_and_holds_both_towers_and_the_words(made):
    tensors = load_file(made['weights'])
    kinds = {name: tensor.dtype for name, tensor in tensors.items()}
    assert kinds.pop('words') == torch.uint8 and set(kinds.values()) == {torch.float16}
    assert Path(made['weights']).stat().st_size < 12e6
    with safe_open(made['weights'], 'pt') as file:
        assert json.loads(file.metadata()['pretraining'])['steps'] == 3
    encoder, info = build_encoder(dict(type='TinyCLIP', checkpoint=made['weights']))
    assert info.weights.startswith('sha256:')
    assert torch.equal(encoder.joint.proj, tensors['visual.joint.proj'].float())
    source = build_source(dict(checkpoint=made['weights']), dims=128)
    assert source.tokenizer.words == WORDS
    assert embed_texts(source, ['a photo of a tram', 'sky']).shape == (2, 128)
    with pytest.raises(UserError, match="does not know the word 'unicorn'"):
        embed_texts(source, ['a unicorn'])


def test_a_stopped_run_goes_on_to_the_same_weights(made, tmp_path):
    """A run that ends behind a checkpoint, in the middle of further steps."""
    settings = chosen(**{key: value for key, value in RUN.items() if key != 'workers'})

    def ends(done):
        for step, batch in enumerate(batches(settings, start=done, workers=0)):
            if step == 2:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt), onednn(False):
        run_training(CaptionTraining(settings), ends, tmp_path)
    with pytest.raises(UserError, match='--resume'):
        pretrain_clip(tmp_path, **RUN)
    with pytest.raises(UserError, match='lr was 0.001 and is 0.1'):
        pretrain_clip(tmp_path, **RUN, resume=True, lr=0.1)
    again = pretrain_clip(tmp_path, **RUN, resume=True)
    assert again['sha256'] == made['sha256'] and again['loss'] == made['loss']
    assert json.loads((tmp_path / 'pretrained.json').read_text())['sha256'] == made['sha256']


def test_zero_shot_scores_repeat(made, cfg):
    first, again = (zero_shot(cfg, checkpoint=made['weights'], crops=4) for _ in range(2))
    assert first == again and list(first['domains']) == ['clear', 'night']
    for scores in first['domains'].values():
        assert 0 <= scores['mIoU'] <= 100 and 0 < scores['chance'] < 10
        assert {'S', 'U', 'hIoU'} <= set(scores)
    assert first['retrieval']['crops'] == 4 and first['retrieval']['chance']['R@1'] == 25
    table = zero_shot_tables({'smoke': first})
    assert table.startswith('| mIoU | clear | night | mean of targets |')
    assert '| 4 crops | image to text R@1 |' in table
    best = first['retrieval']['mean_patch']['text_to_image']
    assert f'{best["R@1"]:.1f} | {best["R@5"]:.1f} |' in table
    assert (
        f'| smoke, class token | {first["retrieval"]["class_token"]["image_to_text"]["R@1"]:.1f}'
        in table
    )
    random = zero_shot(cfg, checkpoint=made['weights'], random=True, crops=0, source_only=True)
    assert random['weights'] == 'random:seed=0' and list(random['domains']) == ['clear']
    assert random['retrieval'] is None and random['target_mean'] is None


def test_the_command_prints_tables_and_writes_scores(made, cfg, tmp_path, capsys):
    cfg.model.backbone.encoder = dict(type='TinyCLIP', name='TinyCLIP (random)', init_seed=0)
    cfg.dump(tmp_path / 'random.py')
    words = ['zero-shot', str(tmp_path / 'random.py'), '--checkpoint', made['weights'], '--random']
    assert main([*words, '--crops', '4', '--json', str(tmp_path / 'scores.json')]) == 0
    printed = capsys.readouterr().out
    assert f'| {made["weights"]} |' in printed and '| random |' in printed
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert set(scores) == {made['weights'], 'random'}
    assert scores['random']['weights'] == 'random:seed=0'
    assert main(['zero-shot', str(tmp_path / 'random.py')]) == 2
    assert 'no checkpoint, and so no text tower' in capsys.readouterr().err


def test_a_domain_without_an_unseen_class_has_no_mean_of_them():
    areas = np.array([[1, 0], [1, 0], [2, 0]])
    found = _seen_unseen(areas, ('road', 'bus'), ('bus',))
    assert found == {'S': 50.0, 'U': None, 'hIoU': None}


def test_zero_shot_needs_two_towers(cfg, tmp_path):
    with pytest.raises(UserError, match='crops=-1: expected 0'):
        zero_shot(cfg, crops=-1)
    cfg.model.backbone.encoder = dict(type='TinyCLIP', init_seed=0)
    with pytest.raises(UserError, match='no checkpoint, and so no text tower'):
        zero_shot(cfg)
    with pytest.raises(UserError, match='joint'):
        zero_shot(cfg, checkpoint='package:tiny_vit.safetensors')
    cfg.model.backbone.encoder = dict(type='TinyViT')
    with pytest.raises(UserError, match='no joint space of image and text'):
        zero_shot(cfg, checkpoint='package:tiny_vit.safetensors')
