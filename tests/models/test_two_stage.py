"""Proposals of a head, and their regions through a frozen CLIP."""

import copy

import pytest
import torch
import torch.nn.functional as F

from rein_seg.checkpoint.load import check_identity
from rein_seg.errors import UserError
from rein_seg.models.open_vocabulary import with_own_classes
from tests.models.proposing import PLAIN, TINY_CLIP, WORDS, two_stage
from tests.models.tiny import samples
from tests.models.words import row
from tests.run.words import ENCODER, write_towers

IMAGE = torch.randn(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def by_hand(model, image, weight, seen, *, threshold=0.5):
    """The segmentation of one image, written out."""
    classes, masks = model.decode_head.propose(model.extract_feat(image), image.shape[-2:])
    p = classes[0].softmax(-1)[:, :-1]
    masks = masks[0].sigmoid()
    mean = torch.tensor(model.tower.encoder_info.mean)[:, None, None]
    std = torch.tensor(model.tower.encoder_info.std)[:, None, None]
    pixels = image[0] * model.data_preprocessor.std + model.data_preprocessor.mean
    result = torch.zeros(p.shape[1], *image.shape[-2:])
    for query, mask in zip(p, masks, strict=True):
        inside = mask > threshold
        r = torch.ones_like(query)
        if inside.any():
            y, x = inside.nonzero(as_tuple=True)
            place = slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1)
            crop = torch.where(inside, pixels, mean)[:, place[0], place[1]]
            crop = F.interpolate(((crop - mean) / std)[None], (32, 32), mode='bicubic')
            embedding = model.tower.alone(crop).joint[0]
            table = F.normalize((model.regions.words or model.text)(), dim=1)
            r = (100 * F.normalize(embedding)[0] @ table.T).softmax(0)
        power = torch.where(seen, weight, 1 - weight)
        result += (query**power * r ** (1 - power))[:, None, None] * mask
    return result


@torch.no_grad()
def scores(model, image=IMAGE):
    return model.inference(image, [dict(img_shape=image.shape[2:], ori_shape=image.shape[2:])])


SEEN = torch.tensor([True, True, False, True])


@pytest.mark.parametrize(
    'options',
    [{}, {'regions': {'batch_regions': 1}}, {'encoder': PLAIN, 'regions': {'encoder': TINY_CLIP}}],
)
def test_both_stages(options):
    model = two_stage(ensemble_weight=0.7, **options)
    torch.testing.assert_close(scores(model)[0], by_hand(model, IMAGE, 0.7, SEEN))


def test_another_normalisation_than_the_tower():
    tower = {**TINY_CLIP, 'mean': (100.0, 110.0, 120.0), 'std': (50.0, 60.0, 70.0)}
    model = two_stage(encoder=PLAIN, regions={'encoder': tower})
    assert model.tower is model.regions.backbone
    torch.testing.assert_close(scores(model)[0], by_hand(model, IMAGE, 0.8, SEEN))


def test_a_method_in_the_backbone_does_not_reach_the_regions():
    tuned = two_stage(peft=dict(type='LoRA', rank=2))
    for param in tuned.backbone.peft.parameters():
        torch.nn.init.normal_(param, std=0.3)
    pictures = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        alone = tuned.tower.alone(pictures).joint[0]
        frozen = two_stage().backbone(pictures).joint[0]
        inside = tuned.backbone(pictures).joint[0]
    assert torch.equal(alone, frozen) and not torch.allclose(inside, frozen)
    torch.testing.assert_close(scores(tuned)[0], by_hand(tuned, IMAGE, 0.8, SEEN))


def test_first_stage_alone():
    model = two_stage(use_regions=False)
    with torch.no_grad():
        expected = model.decode_head.predict(model.extract_feat(IMAGE), (32, 48))
    torch.testing.assert_close(scores(model), expected)


def test_a_batch_is_its_images():
    model = two_stage()
    images = torch.cat([IMAGE, IMAGE.flip(3), IMAGE * 2])
    torch.testing.assert_close(
        scores(model, images), torch.cat([scores(model, one[None]) for one in images])
    )


def test_any_size_has_regions_without_padding():
    image = torch.randn(1, 3, 37, 45)
    model = two_stage()
    seen = []
    crop = model.regions.pictures
    model.regions.pictures = lambda image, masks, tower: (
        seen.append((image.shape, masks.shape)) or crop(image, masks, tower)
    )
    assert scores(model, image).shape == (1, 4, 37, 45)
    assert seen == [((3, 37, 45), (3, 37, 45))]


def test_windows_are_images():
    options = dict(mode='slide', crop_size=(32, 32), stride=(32, 16))
    model = two_stage(test_cfg=options)
    left, right = (by_hand(model, part, 0.8, SEEN) for part in (IMAGE[..., :32], IMAGE[..., 16:]))
    found = scores(model)[0]
    torch.testing.assert_close(found[..., :16], left[..., :16])
    torch.testing.assert_close(found[..., 32:], right[..., 16:])
    torch.testing.assert_close(found[..., 16:32], (left[..., 16:] + right[..., :16]) / 2)


def test_no_region_above_the_threshold():
    model = two_stage(regions={'threshold': 0.999999}, ensemble_weight=0.7)
    model.decode_head.masks.bias.data.fill_(-30.0)
    model.decode_head.masks.weight.data.zero_()
    found = scores(model)
    assert found.shape == (1, 4, 32, 48) and found.isfinite().all()
    torch.testing.assert_close(found[0], by_hand(model, IMAGE, 0.7, SEEN, threshold=0.999999))


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({}, [True, True, False, True]),
        ({'text': {**WORDS, 'unseen': []}}, [False] * 4),  # no list: all count as unseen
        ({'seen': ['sky', 'pond']}, [False, True, False, False]),
        ({'seen': []}, [False] * 4),
    ],
)
def test_seen_classes(options, expected):
    assert two_stage(**options).seen_classes().tolist() == expected


def test_other_classes():
    model = two_stage(regions={'text': {'type': 'WordTable', 'source': 'sha256:others'}})
    trained = scores(model)
    model.set_classes(['pond', 'car', 'road'])
    assert model.regions.words.classes == model.text.classes == ('pond', 'car', 'road')
    assert model.seen_classes().tolist() == [False, True, True]
    torch.testing.assert_close(
        scores(model)[0], by_hand(model, IMAGE, 0.8, torch.tensor([False, True, True]))
    )
    model.set_classes(['road', 'sky', 'tram', 'car'])
    torch.testing.assert_close(scores(model), trained)


def test_other_classes_of_a_copy_leave_the_model_as_it_was():
    regions = {'encoder': TINY_CLIP, 'text': {'type': 'WordTable'}}
    model = two_stage(encoder=PLAIN, regions=regions)
    trained = scores(model)
    other = with_own_classes(model)
    other.set_classes(['pond', 'car'])
    assert other.regions.backbone is model.regions.backbone
    assert scores(other).shape[1] == 2
    torch.testing.assert_close(scores(model), trained)
    torch.testing.assert_close(scores(copy.deepcopy(model)), trained)


def test_wrong_classes_change_neither_stage():
    model = two_stage(regions={'text': {'type': 'WordTable'}})
    with pytest.raises(UserError, match='two names or more'):
        model.set_classes(['pond'])
    assert model.regions.words.classes == model.text.classes == ('road', 'sky', 'tram', 'car')
    torch.testing.assert_close(model.regions.words(), row_table(WORDS['classes']))


def row_table(names):
    return torch.stack([row([name], 8) for name in names])


def test_training_is_the_first_stage():
    model = two_stage(encoder=PLAIN, regions={'encoder': TINY_CLIP}).train()
    assert not any(module.training for module in model.regions.backbone.encoder.modules())
    losses = model.loss(IMAGE, samples(1, 32, 48))
    assert list(losses) == ['decode.loss_ce']
    losses['decode.loss_ce'].backward()
    assert all(param.grad is None for param in model.regions.parameters())
    assert not any(param.requires_grad for param in model.regions.parameters())


def test_no_tensor_of_the_tower_is_saved_and_its_identity_is():
    model = two_stage(encoder=PLAIN, regions={'encoder': TINY_CLIP})
    assert not [name for name in model.state_dict() if name.startswith('regions')]
    model.load_state_dict(model.state_dict())
    encoder = model.identity['regions']['encoder']
    assert (
        encoder['weights'] == 'random:seed=3' and encoder['config']['type'] == 'rein_seg.TinyCLIP'
    )
    other = two_stage(encoder=PLAIN, regions={'encoder': {**TINY_CLIP, 'init_seed': 4}})
    with pytest.raises(UserError, match='another second stage.*seed=3'):
        check_identity(model.identity, other.identity, source='adapter')


def test_cosines_of_regions_have_no_ties_under_autocast():
    model = two_stage()
    near = torch.eye(1, 8) + torch.tensor([[0.0], [1e-3]])
    masks = torch.ones(1, 32, 48)
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        logits, _ = model.regions(model.pixels(IMAGE)[0], masks, near, model.tower)
    assert logits.dtype == torch.float32 and logits[0, 0] != logits[0, 1]


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (dict(ensemble_weight=1.2), 'ensemble_weight=1.2: expected an exponent from 0'),
        (dict(ensemble_weight=-0.1), 'ensemble_weight=-0.1'),
        (dict(head=dict(type='WordHead')), "'WordHead' proposes no masks.*MaskFormerHead"),
        (dict(regions={'threshold': 1.0}), 'threshold=1.0: expected a probability'),
        (dict(regions={'expand': 0.5}), 'expand=0.5: expected a factor of 1 or more'),
        (dict(regions={'fill': 'black'}), "fill='black': expected mean or zero"),
        (dict(regions={'size': 30}), r'multiples of the patch.*set it to \(32, 32\)'),
        (dict(regions={'size': [32]}), r'size=\[32\]: expected pixels of a side, or'),
        (dict(regions={'mean': [1, 2]}), r'mean=\[1, 2\]: expected three numbers, of red'),
        (dict(regions={'std': [1, 0, 1]}), r'std=\[1, 0, 1\]: expected three numbers above 0'),
        (dict(encoder=PLAIN), 'reads the space that image and text share'),
        (dict(encoder=PLAIN, regions={'encoder': PLAIN}), 'has no space that image and text share'),
        (dict(text=None), 'reads the embeddings of the class names'),
        (dict(text={**WORDS, 'dims': 6}), 'text of width 6 with an image of width 8'),
        (
            dict(encoder=PLAIN, text={**WORDS, 'dims': 6}, regions={'encoder': TINY_CLIP}),
            'pictures of width 8 with text of width 6: expected both of one CLIP',
        ),
        (dict(peft=dict(type='BitFit')), 'BitFit trains weights of it: expected a frozen tower'),
        (
            dict(regions={'text': dict(type='PrefixDot', num_prefix=2, tower=dict(init_seed=0))}),
            'prompts that learn.*set model.regions.text.prompts',
        ),
    ],
)
def test_what_does_not_fit(options, said):
    with pytest.raises(UserError, match=said):
        two_stage(**options)


def test_text_of_another_clip(tmp_path):
    towers = [write_towers(tmp_path / f'{seed}.safetensors', seed) for seed in (0, 1)]
    clip = [{**ENCODER, 'checkpoint': path} for path in towers]
    text = dict(type='ClassTable', classes=['road', 'sky', 'car', 'bus'])
    own = two_stage(encoder=clip[0], text=text)
    assert own.text.source.startswith('sha256:')
    tower = dict(checkpoint=towers[1])
    with pytest.raises(UserError, match='the text is of another CLIP'):
        two_stage(encoder=clip[0], text={**text, 'tower': tower})
    regions = {'text': {'type': 'ClassTable', 'tower': tower}}
    with pytest.raises(UserError, match='the text is of another CLIP'):
        two_stage(encoder=clip[0], text=text, regions=regions)
