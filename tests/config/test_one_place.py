"""A setting of several parts is said in one place, and reaches all or is refused."""

import pytest
from mmengine.config import ConfigDict

from rein_seg.config.config_paths import Parts
from rein_seg.config.one_place import fill_ignored_label
from rein_seg.config.request import Request
from rein_seg.config.resolve import resolve
from rein_seg.errors import UserError


def resolved(**options):
    given = {key.replace('__', '.'): value for key, value in options.items()}
    return resolve('conv_lora_tiny_blobs', Request(options=given)).cfg


@pytest.mark.parametrize(
    'key', ['train_dataloader__dataset__ignore_index', 'model__decode_head__ignore_index',
            'val_evaluator__ignore_index'],
)  # fmt: skip
def test_the_ignored_label_reaches_all_parts(key):
    cfg = resolved(**{key: 200})
    found = [
        cfg.train_dataloader.dataset.ignore_index,
        *(dataset.ignore_index for dataset in cfg.test_dataloader.dataset.datasets),
        cfg.model.decode_head.ignore_index,
        cfg.val_evaluator.ignore_index,
        cfg.test_evaluator.ignore_index,
    ]
    assert set(found) == {200}


def test_without_a_word_nothing_is_written():
    assert 'ignore_index' not in str(resolved())
    assert 'ignore_index' not in str(resolved(model__decode_head__threshold=0.5))


def test_two_ignored_labels_are_refused():
    with pytest.raises(UserError, match=r'train_dataloader.dataset.ignore_index=200, but model'):
        resolved(train_dataloader__dataset__ignore_index=200, model__decode_head__ignore_index=255)


def test_a_heads_own_argument_heads_is_no_cascade():
    cfg = resolved(val_evaluator__ignore_index=200)
    cfg.model.decode_head = ConfigDict(type='LinearHead', heads=8)
    fill_ignored_label(cfg, Parts(cfg))
    assert cfg.model.decode_head.ignore_index == 200


def test_the_ignored_label_reaches_each_head_of_a_cascade():
    options = {'train_dataloader.dataset.ignore_index': 200}
    cfg = resolve('rein_dinov2_ocr_gtav', Request(options=options)).cfg
    assert [head.ignore_index for head in cfg.model.decode_head.heads] == [200, 200]
    assert 'ignore_index' not in cfg.model.decode_head
