"""The head that compares an image with the words of the classes."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.heads.image import TextImageHead
from rein_seg.structures import Features

CLIP = dict(type='TinyCLIP', checkpoint='package:tinyclip.safetensors')
CLASSES = ['car', 'bus', 'road']


def features(text):
    torch.manual_seed(0)
    joint = torch.randn(4, 6), torch.randn(4, 6, 2, 2)
    return Features(maps=(), joint=joint, text=text)


def model(head=None, encoder=CLIP, **options):
    config = dict(
        type='PEFTImageModel',
        backbone=dict(type='PEFTBackbone', encoder=encoder, peft=dict(type='Frozen')),
        head=head or dict(type='TextImageHead'),
        num_classes=3,
        text=dict(type='ClassTable', classes=CLASSES),
    )
    return MODELS.build({**config, **options}).eval()


def test_logits_are_scaled_cosines_also_under_autocast():
    head, given = (
        TextImageHead(3, joint_dims=6, text_dims=6, scale=20.0),
        features(torch.randn(3, 6)),
    )
    expected = 20 * F.cosine_similarity(given.joint[0][:, None], given.text[None], dim=2)
    torch.testing.assert_close(head(given), expected)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        torch.testing.assert_close(head(given), expected)
    own = features(given.text.expand(4, 3, 6))  # of each image
    torch.testing.assert_close(head(own), expected)
    labels = torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(
        head.loss(given, labels)['loss_ce'], F.cross_entropy(expected, labels)
    )
    assert not list(head.parameters())


def test_the_scale_is_of_the_file_or_of_the_config():
    built = model()
    assert built.head.scale == built.text.scale
    assert 1 < built.head.scale <= 100
    assert model(dict(type='TextImageHead', scale=7.0)).head.scale == 7.0
    assert TextImageHead(3, joint_dims=6, text_dims=6).scale == 100.0


def test_other_classes_by_name_and_what_cannot_take_them():
    built = model()
    built.set_classes(['tram', 'sky'])
    assert built.predict(torch.randn(1, 3, 64, 64))[0].pred_score.shape == (2,)
    closed = model(dict(type='LinearImageHead'), text=None)
    with pytest.raises(UserError, match='this model has fixed classes'):
        closed.set_classes(['tram', 'sky'])


def test_text_and_joint_space_are_needed():
    with pytest.raises(UserError, match="'TextImageHead' reads the embeddings .* no text branch"):
        model(text=None)
    with pytest.raises(UserError, match='reads the space that image and text share'):
        model(
            encoder=dict(type='TinyViT', init_seed=0),
            text=dict(type='ClassTable', classes=CLASSES, init_seed=0),
        )
