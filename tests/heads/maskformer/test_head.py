"""The MaskFormer head: proposals, classes from names, seen classes in training, other classes."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from rein_seg.errors import UserError
from rein_seg.heads import MaskFormerHead
from rein_seg.structures import Features
from tests.encoders.tiny import ENCODERS
from tests.heads.tiny import MASKFORMER
from tests.models.tiny import samples

SIZES = {key: value for key, value in MASKFORMER.items() if key != 'type'}
CHANNELS, TEXT, CLASSES = [8, 16, 16], 12, 5


def build(**options):
    torch.manual_seed(0)
    options = {'text_dims': TEXT, **options}
    return MaskFormerHead(CHANNELS, num_classes=CLASSES, **{**SIZES, **options}).eval()


def features(classes=CLASSES, batch=2, per_image=False):
    generator = torch.Generator().manual_seed(1)
    maps = [torch.randn(batch, c, 16 >> i, 24 >> i, generator=generator) for i, c in
            enumerate(CHANNELS)]  # fmt: skip
    shape = (batch, classes, TEXT) if per_image else (classes, TEXT)
    return Features(tuple(maps), text=torch.randn(*shape, generator=generator))


def test_proposals_and_scores_are_of_the_last_layer():
    head, given = build(), features()
    with torch.no_grad():
        classes, masks = head(given)
        proposed, full = head.propose(given, (64, 96))
        scores = head.predict(given, (64, 96))
    assert (classes.shape, masks.shape) == ((2, 2, 5, CLASSES + 1), (2, 2, 5, 16, 24))
    torch.testing.assert_close(proposed, classes[-1])
    large = F.interpolate(masks[-1], size=(64, 96), mode='bilinear')
    torch.testing.assert_close(full, large)
    expected = torch.einsum('bqk,bqhw->bkhw', proposed.softmax(2)[..., :-1], full.sigmoid())
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('per_image', [False, True])
def test_logits_are_cosines_with_names_and_no_object(per_image):
    head, given = build(temperature=50.0), features(per_image=per_image)
    with torch.no_grad():
        classes, _ = head.propose(given, (16, 24))
        queries, _ = head.decode(given)
        embeds = head.predictor.class_embed(queries[-1])
    for image in range(2):
        text = given.text[image] if per_image else given.text
        words = torch.cat((text, head.non_object_embedding.detach()))
        for q in range(5):
            cosines = F.cosine_similarity(embeds[image, q][None], words)
            torch.testing.assert_close(classes[image, q], 50 * cosines, rtol=1e-4, atol=1e-4)


def test_training_compares_with_seen_classes_alone_and_ignores_the_others():
    given = features()
    labels = torch.randint(0, CLASSES, (2, 64, 96), generator=torch.Generator().manual_seed(2))
    labels[:, :8] = 255
    hidden = labels.masked_fill((labels == 1) | (labels == 4), 255)
    head = build(unseen=(1, 4))
    found = head.loss(given, labels)
    assert found == head.loss(given, hidden)
    changed = Features(given.maps, text=given.text.clone())
    changed.text[[1, 4]] = 7.0
    assert found == head.loss(changed, labels)
    seen = [0, 2, 3]
    small = MaskFormerHead(CHANNELS, num_classes=3, **SIZES, text_dims=TEXT).eval()
    small.load_state_dict(head.state_dict())
    rows = torch.full((256,), 255)
    rows[seen] = torch.arange(3)
    alone = small.loss(Features(given.maps, text=given.text[seen]), rows[labels])
    for name, value in found.items():
        torch.testing.assert_close(alone[name], value)


def test_cosines_are_float32_under_autocast():
    head, given = build(), features()
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        classes, masks = head.propose(given, (16, 24))
        scores = head.predict(given, (16, 24))
    assert classes.dtype == masks.dtype == scores.dtype == torch.float32
    with torch.no_grad():
        exact, _ = head.propose(given, (16, 24))
    torch.testing.assert_close(classes, exact, rtol=0, atol=3.0)


def test_other_classes_need_other_words_alone():
    head = build()
    assert head.open_vocabulary
    before = head.state_dict()
    head.set_classes(9)
    with torch.no_grad():
        assert head.predict(features(9), (16, 24)).shape == (2, 9, 16, 24)
    assert head.state_dict().keys() == before.keys()


def test_a_linear_makes_it_closed():
    head = build(text_dims=None, classifier='linear')
    assert not head.open_vocabulary
    assert head.predictor.class_embed.weight.shape == (CLASSES + 1, 8)
    assert head.facts(dict(classifier='linear')) == (
        'in_channels', 'in_index', 'num_classes', 'in_strides',
    )  # fmt: skip
    given = Features(features().maps)
    with torch.no_grad():
        assert head.propose(given, (8, 8))[0].shape == (2, 5, CLASSES + 1)


def test_maps_of_one_stride_become_a_pyramid_only_if_there_are_four():
    four = MaskFormerHead([8] * 4, num_classes=3, in_strides=[16] * 4, text_dims=TEXT, **SIZES)
    assert four.scales == (4, 2, 1, 0.5)
    given = Features(tuple(torch.randn(1, 8, 4, 6) for _ in range(4)), text=torch.randn(3, TEXT))
    assert four(given)[1].shape[-2:] == (16, 24)
    one = MaskFormerHead(8, num_classes=3, in_index=2, in_strides=16, text_dims=TEXT, **SIZES)
    assert one(given)[1].shape[-2:] == (4, 6)


def test_predictor_has_the_official_names():
    names = {name.partition('.')[2] for name in build().state_dict() if 'predictor.' in name}
    for name in (
        'transformer.decoder.layers.1.multihead_attn.in_proj_weight',
        'transformer.decoder.norm.bias',
        'query_embed.weight',
        'input_proj.weight',
        'class_embed.layers.1.bias',
        'mask_embed.layers.2.weight',
    ):
        assert name in names
    assert 'non_object_embedding' in build().state_dict()


def test_an_equal_width_has_no_projection():
    head = MaskFormerHead([8], num_classes=3, text_dims=TEXT, **SIZES)
    assert not any('input_proj' in name for name in head.state_dict())


def test_a_model_reads_words_only_where_the_classifier_does():
    cfg = dict(
        type='PEFTSegmentor',
        backbone=dict(type='PEFTBackbone', encoder=ENCODERS['vit'], peft=dict(type='LoRA')),
        num_classes=4,
    )
    table = dict(type='ClassTable', classes=['a road', 'sky', 'car', 'tree'], dims=TEXT)
    with pytest.raises(UserError, match='reads the embeddings of the class names'):
        MODELS.build(dict(**cfg, decode_head=MASKFORMER))
    linear = {**MASKFORMER, 'classifier': 'linear'}
    with pytest.raises(UserError, match=r'model\.text=.*is read by no part'):
        MODELS.build(dict(**cfg, decode_head=linear, text=table))
    model = MODELS.build(dict(**cfg, decode_head=linear))
    assert not model.has_open_vocabulary
    model = MODELS.build(dict(**cfg, decode_head=MASKFORMER, text=table))
    assert model.has_open_vocabulary
    losses = model.loss(torch.randn(2, 3, 32, 64), samples(2, 32, 64))
    assert {'decode.loss_cls', 'decode.d0.loss_mask', 'decode.loss_dice'} <= losses.keys()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(norm_groups=3), 'embed_dims=8 must be divisible by 4, by norm_groups=3'),
        (dict(text_dims=None), "classifier='text' with text_dims=None: expected the width"),
        (dict(classifier='linear'), "classifier='linear' with text_dims=12: expected"),
        (dict(unseen=range(CLASSES)), 'all 5 classes are unseen, so nothing can be trained'),
        (dict(num_queries=0), 'MaskFormerHead num_queries=0: expected a whole number, at least 1'),
        (dict(classifier='words'), "classifier='words': expected text or linear"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(UserError, match=message):
        build(**{'unseen': (), **options})
