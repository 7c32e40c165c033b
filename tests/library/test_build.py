"""Models and backbones as plain modules, from names."""

import copy

import pytest
import torch

import rein_seg
from rein_seg.errors import UserError
from rein_seg.library.config import base_names
from rein_seg.models.padding import pad_reflecting

CLASSES = ('road', 'sky', 'tree')
SIZES = dict(embed_dims=16, num_layers=4, num_heads=2, feedforward_channels=32)
TINY = dict(type='TinyViT', arch=SIZES, img_size=32, patch_size=8, init_seed=0)
LORA = dict(type='LoRA', rank=2)


def small(head='linear', peft=LORA, **options):
    torch.manual_seed(0)
    options = {'classes': CLASSES, **options}
    return rein_seg.build_model(TINY, peft, head, **options)


def batch(height=33, width=50):
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(256, (2, 3, height, width), dtype=torch.uint8, generator=generator)
    labels = torch.randint(3, (2, height, width), generator=generator)
    labels[:, :5] = 255
    return images, labels


@pytest.mark.parametrize(
    ('head', 'peft'),
    [
        ('linear', 'Rein'),
        ('linear', LORA),
        ('mask2former_tiny', dict(type='Rein', num_tokens=40, query_dims=128)),
        ('mask2former_tiny', 'LoRA'),
        (dict(type='FCNHead', channels=8, num_convs=1), ['VPT', LORA]),
        ('linear', 'SPM'),
    ],
)
def test_heads_and_methods(head, peft):
    model = small(head, peft)
    images, labels = batch()
    assert model(images).shape == (2, 3, 33, 50)
    torch.testing.assert_close(model.probabilities(images).sum(1), torch.ones(2, 33, 50))
    losses = model.train().loss(images, labels)
    assert all(name.count('loss') and value.shape == () for name, value in losses.items())
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    found = model.predict(images)
    assert (found.shape, found.dtype, model.training) == ((2, 33, 50), torch.int64, True)
    expected = model.eval()(images).argmax(1)
    assert (found == expected).float().mean() > 0.99


def test_the_model_is_that_of_a_config_and_normalises_as_it():
    model = small().eval()
    images, _ = batch(32, 48)
    bgr = [image.flip(0) for image in images]
    seen = model.segmentor.data_preprocessor(dict(inputs=bgr, data_samples=None))['inputs']
    assert type(model.segmentor).__name__ == 'PEFTSegmentor'
    with torch.no_grad():
        torch.testing.assert_close(model(images), model.segmentor.encode_decode(seen))


def test_bytes_and_floats_are_the_same_images_and_borders_are_mirrored():
    model = small().eval()
    images, _ = batch()
    with torch.no_grad():
        torch.testing.assert_close(model(images), model(images / 255), rtol=1e-4, atol=1e-4)
        whole = model(pad_reflecting(images, 8))[..., :33, :50]
        torch.testing.assert_close(model(images), whole)


def test_half_precision_and_copies():
    model = small().eval()
    images, _ = batch()
    twin = copy.deepcopy(model).to(torch.bfloat16)
    for given in (images, images / 255, (images / 255).bfloat16()):
        result = twin(given)
        assert result.dtype == torch.bfloat16
        torch.testing.assert_close(result.float(), model(images), rtol=0.1, atol=0.1)


def test_ignored_pixels_and_padding_add_nothing_to_the_loss():
    model = small().eval()
    images, labels = batch(32, 48)
    logits = model(images)
    expected = torch.nn.functional.cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(model.loss(images, labels)['decode.loss_ce'], expected)
    cut, at = images[..., :30], labels[..., :30]
    expected = torch.nn.functional.cross_entropy(model(cut), at, ignore_index=255)
    torch.testing.assert_close(model.loss(cut, at)['decode.loss_ce'], expected, rtol=0.2, atol=0)


def test_training_lowers_the_loss_and_leaves_the_encoder():
    model = small(peft='Rein').train()
    images, labels = batch(32, 48)
    labels = (images[:, 0] > 128).long()
    frozen = copy.deepcopy(model.segmentor.backbone.encoder.state_dict())
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01)
    given = model(images, labels)
    assert given.keys() == model.loss(images, labels).keys()
    values = []
    for _ in range(5):
        loss = sum(model.loss(images, labels).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < values[0]
    after = model.segmentor.backbone.encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in frozen.items())
    assert not any('encoder' in name for name in model.state_dict())
    assert small(peft='Rein').load_state_dict(model.state_dict()) is not None


def test_a_backbone_gives_maps_of_images():
    backbone = rein_seg.build_backbone(TINY, 'Rein')
    features = backbone(torch.rand(1, 3, 32, 48))
    assert [tuple(x.shape) for x in features.maps] == [(1, 16, 4, 6)] * 4
    assert features.queries is None
    assert (backbone.out_channels, backbone.out_strides) == ((16,) * 4, (8,) * 4)
    with pytest.raises(UserError, match='resize or crop to'):
        backbone(torch.rand(1, 3, 33, 48))


def test_names_are_those_of_the_shipped_configs():
    assert {'vit_tiny', 'dinov2_large', 'sam_huge'} <= set(base_names('encoders'))
    model = rein_seg.build_model('vit_tiny', LORA, 'linear', 4, pretrained=False, size=(64, 128))
    assert model.classes == ('class 0', 'class 1', 'class 2', 'class 3')
    assert len(model.palette) == 4
    info = model.segmentor.backbone.encoder_info
    assert info.weights == 'random:seed=0'
    assert info.config['img_size'] == [64, 128]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(encoder='dinov2_larg'), ("'dinov2_larg'", "'dinov2_large'", 'dict(type=')),
        (dict(head='mask2formr'), ("head='mask2formr'", "'mask2former'")),
        (dict(peft='Lora'), ("'Lora'", "'LoRA'")),
        (dict(num_classes=1), ('num_classes=1', '2 or more')),
        (dict(num_classes=2, classes=CLASSES), ('num_classes=2', '3 names')),
        (dict(classes=('a', 'a')), ("'a' is there twice",)),
        (dict(classes='road'), ("classes='road'", 'list')),
        (dict(classes=CLASSES, palette=[[0, 0, 0]]), ('palette has 1', '3 classes')),
        (dict(checkpoint='none.pth'), ("'none.pth' does not exist",)),
        (dict(checkpoint='x.pth', init_seed=1), ('exclude one another',)),
        (dict(encoder='resnet50', size=64, pretrained=False), ('size=64 has no effect',)),
        (dict(head='mask2former', peft=dict(type='Rein', query_dims=8)), ('query_dims=256',)),
    ],
)
def test_errors_of_arguments(options, words):
    with pytest.raises(UserError) as error:
        rein_seg.build_model(**{**dict(encoder='vit_tiny', peft='LoRA', head='linear'), **options})
    assert all(word in str(error.value) for word in words), error.value
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('images', 'words'),
    [
        (torch.zeros(3, 32, 32), r'images are \(3, 32, 32\)'),
        (torch.zeros(1, 1, 32, 32), r'\(1, 1, 32, 32\): expected RGB'),
        (torch.full((1, 3, 32, 32), 200.0), 'from 200 to 200'),
        (torch.full((1, 3, 32, 32), -2.0), 'do not normalise'),
        (torch.zeros(1, 3, 32, 32, dtype=torch.int64), 'torch.int64'),
        ([1], 'images are list'),
    ],
)
def test_errors_of_images(images, words):
    with pytest.raises(UserError, match=words):
        small().predict(images)


@pytest.mark.parametrize('build', [rein_seg.build_model, rein_seg.build_backbone])
def test_an_encoder_of_bands_is_refused(build):
    bands = dict(names=['red', 'nir'])
    encoder = dict(type='TinyViT', init_seed=0, mean=[0, 0], std=[1, 1], bands=bands)
    with pytest.raises(UserError, match=r"'TinyViT' has bands.*benchmark.bands"):
        build(encoder, 'LoRA')


@pytest.mark.parametrize(
    ('labels', 'words'),
    [
        (
            torch.zeros(1, 16, 32, dtype=torch.long),
            r'expected whole numbers of shape \(1, 32, 32\)',
        ),
        (torch.zeros(1, 32, 32), 'labels are torch.float32'),
        (torch.full((1, 32, 32), 3), 'labels hold 3: expected 0 to 2, or 255'),
        (torch.full((1, 32, 32), -1), 'labels hold -1'),
    ],
)
def test_errors_of_labels(labels, words):
    with pytest.raises(UserError, match=words):
        small().loss(torch.rand(1, 3, 32, 32), labels)
