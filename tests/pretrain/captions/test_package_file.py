"""TinyCLIP's file in the package: both towers, and their words."""

import json

import pytest
import torch
from safetensors import safe_open

import rein_seg.apis  # noqa: F401
from rein_seg.encoders import build_encoder, pretrained
from rein_seg.pretrain.captions.lexicon import WORDS
from rein_seg.pretrain.captions.run import FILE
from rein_seg.pretrain.captions.settings import BUDGETS
from rein_seg.pretrain.captions.zero_shot import name_patches
from rein_seg.scenes.streets import labels, render
from rein_seg.text import ClassTable
from rein_seg.text.source import build_source

CHECKPOINT = f'package:{FILE}'


def test_it_says_how_it_was_made_and_is_small():
    path = pretrained.package_file(CHECKPOINT)
    assert path.stat().st_size <= 12_000_000
    with safe_open(path, 'pt') as file:
        made = json.loads(file.metadata()['pretraining'])
    assert made['steps'] == made['settings']['steps'] == BUDGETS['full'].steps
    assert build_source(dict(checkpoint=CHECKPOINT), dims=128).tokenizer.words == WORDS


@pytest.mark.parametrize('templates', ['name', 'plain', 'zegclip_coco'])
def test_it_names_the_large_parts_of_a_street_of_the_source(templates):
    encoder, info = build_encoder(dict(type='TinyCLIP', checkpoint=CHECKPOINT))
    names = ['road', 'building', 'sky', 'vegetation']
    tower = dict(checkpoint=CHECKPOINT)
    table = ClassTable(names, tower=tower, templates=templates)()
    scene = render('clear', 'train', 0)
    image = torch.from_numpy(scene.image[..., ::-1].transpose(2, 0, 1).copy()).float()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (info.mean, info.std))
    with torch.no_grad():
        dense = encoder.embed(((image - mean) / std)[None])[1]
    dense = torch.nn.functional.normalize(dense, dim=1)
    named = name_patches(dense, table, scene.label.shape)[0].numpy()
    ids = [labels.ROAD, labels.BUILDING, labels.SKY, labels.PLANT]
    right = [(named == i)[scene.label == label].mean() for i, label in enumerate(ids[:3])]
    assert min(right) > 0.6
