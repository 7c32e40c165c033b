"""Weights of classes: from a data file, by name or counted, to the loss of the head."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from rein_seg.config.data_file import read_benchmark
from rein_seg.config.own_run import OwnRun
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError
from rein_seg.heads.mask2former.losses import SetLoss
from tests.own_data.made import TEXT, draw_town, photo, save, stripes


def resolved(file, said, *, training=True, work_dir='run', **words):
    run = OwnRun(data=str(file), changes={'class_weights': said}, **words).generate()
    request = Request(training=training, work_dir=str(file.parent / work_dir))
    return resolve(run, request).cfg


def uneven(folder):
    """Draws labels of 3/4 road, 1/8 sky, 1/8 house."""
    file = draw_town(folder)
    for i in range(3):
        label = stripes(0, 0, 0, 0, 0, 0, 1, 2)
        save(folder / f'day/labels/{i}.png', label)
        save(folder / f'day/images/{i}.png', photo(label))
    return file


@pytest.mark.parametrize('said', [[1, 2, 3], {'sky': 2, 'house': 3}, 'auto'])
def test_weights_reach_the_linear_head(tmp_path, said):
    cfg = resolved(uneven(tmp_path), said)
    wanted = [0.4082, 1.0, 1.0] if said == 'auto' else [1.0, 2.0, 3.0]
    assert cfg.benchmark.class_weights == wanted or list(cfg.benchmark.class_weights) == wanted
    assert list(cfg.model.decode_head.loss_decode.class_weight) == wanted
    again = resolve(cfg, Request()).cfg  # an adapter's config needs no labels
    assert list(again.model.decode_head.loss_decode.class_weight) == wanted


def test_the_loss_counts_a_heavy_class_more(tmp_path):
    labels = torch.tensor([[[0, 1, 255]]])
    losses = []
    for said in ([1, 1, 1], [1, 9, 1]):
        cfg = resolved(uneven(tmp_path), said)
        loss = MODELS.build(cfg.model.decode_head.loss_decode)
        logits = torch.tensor([[2.0, 0.0, 0.0]]).T.reshape(1, 3, 1, 1).expand(1, 3, 1, 3)
        losses.append(loss(logits, labels, ignore_index=255).item())
    light, heavy = torch.tensor([2.0, 0, 0]).log_softmax(0)[:2].neg().tolist()
    assert np.allclose(losses, [(light + heavy) / 2, (light + 9 * heavy) / 10], atol=1e-5)


def test_auto_waits_for_a_training(tmp_path):
    cfg = resolved(uneven(tmp_path), 'auto', training=False)
    assert cfg.benchmark.class_weights == 'auto'
    assert 'loss_decode' not in cfg.model.decode_head


@pytest.mark.parametrize('head', ['mask2former_tiny', 'upernet'])
def test_other_heads(tmp_path, head):
    cfg = resolved(uneven(tmp_path), [1, 2, 3], head=head)
    part = cfg.model.decode_head
    if head == 'upernet':
        assert list(part.loss_decode.class_weight) == [1, 2, 3]
        assert 'avg_non_ignore' not in part.loss_decode
    else:
        assert list(part.loss.class_weights) == [1, 2, 3]
        loss = SetLoss(3, num_points=16, class_weights=part.loss.class_weights)
        assert loss.label_weight.tolist() == pytest.approx([1, 2, 3, 0.1])


@pytest.mark.parametrize(
    ('said', 'words'),
    [
        ('heavy', "class_weights='heavy'"),
        ([1, 2], '3 numbers'),
        ([1, 2, float('nan')], 'expected a finite number'),
        ([1, 2, -1], '3 numbers'),
        ([0, 0, 0], 'not all 0'),
        ({'skye': 1}, "'skye' is none of"),
    ],
)
def test_wrong_weights(tmp_path, said, words):
    file = draw_town(tmp_path, TEXT)
    with pytest.raises(UserError, match=words):
        read_benchmark(str(file), {'class_weights': said})


def test_weights_reach_each_head_of_a_cascade(tmp_path):
    cfg = resolved(uneven(tmp_path), [1, 2, 3], head='ocr')
    losses = [head.loss_decode for head in cfg.model.decode_head.heads]
    assert [list(loss.class_weight) for loss in losses] == [[1.0, 2.0, 3.0]] * 2
    assert [loss.get('loss_weight', 1.0) for loss in losses] == [0.4, 1.0]
    assert not any('avg_non_ignore' in loss for loss in losses)
