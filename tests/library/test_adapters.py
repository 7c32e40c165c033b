"""Adapter files of attached methods and of built models."""

import numpy as np
import pytest
import torch
from torch import nn

import rein_seg
from rein_seg.checkpoint import read_adapter
from rein_seg.errors import NotFinite, UserError
from rein_seg.registry import method_class
from tests.library.attach_table import own_config
from tests.library.modules import FAST, build, image, output
from tests.matrix import methods

LORA = dict(type='LoRA', rank=2)


def moved(module):
    """Gives what trains other values."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for param in module.parameters():
            if param.requires_grad:
                param.add_(0.1 * torch.randn(param.shape, generator=generator))
    return module


def streets(peft=LORA, classes=('road', 'sky'), **options):
    torch.manual_seed(0)
    return rein_seg.build_model('vit_tiny', peft, 'linear', classes=classes, **options)


def photo():
    return torch.randint(
        256, (1, 3, 40, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


@pytest.mark.parametrize('name', FAST)
def test_an_attached_method_comes_back(name, tmp_path):
    part = {'timm ViT': 'head', 'torchvision ResNet': ('fc', 'bn1'), 'transformers DINOv2': ()}
    models = [build(name), build(name)]
    for model in models:
        rein_seg.attach(model, [LORA, 'Rein'], trainable=part[name])
    expected = output(moved(models[0]), image())
    size = rein_seg.save_adapter(models[0], tmp_path / 'a.safetensors', classes=['cat', 'dog'])
    held = read_adapter(tmp_path / 'a.safetensors')
    assert size['tensor_bytes'] == sum(t.nbytes for t in held.tensors.values())
    assert held.metadata['dataset_meta']['classes'] == ['cat', 'dog']
    report = rein_seg.load_adapter(models[1], tmp_path / 'a.safetensors')
    assert report.endswith(f'{len(held.tensors)}/{len(held.tensors)} tensors, 0 unexpected')
    torch.testing.assert_close(output(models[1], image()), expected, rtol=0, atol=0)
    moving = {'bn1.running_mean', 'bn1.running_var'} if 'bn1' in part[name] else set()
    assert moving <= set(held.tensors)
    assert not any('running' in key for key in held.tensors.keys() - moving - {'bn1'})


# the others make a first pass, which a module of its own does not
@pytest.mark.parametrize('method', [m for m in methods() if not method_class(m).looks_first])
def test_every_method_comes_back(method, tmp_path):
    models = [build('timm ViT'), build('timm ViT')]
    for seed, model in enumerate(models):
        torch.manual_seed(seed)
        rein_seg.attach(model, own_config(method))
    expected = output(moved(models[0]), image())
    rein_seg.save_adapter(models[0], tmp_path / 'a.safetensors')
    rein_seg.load_adapter(models[1], tmp_path / 'a.safetensors')
    torch.testing.assert_close(output(models[1], image()), expected, rtol=0, atol=0)


def test_the_file_of_a_part_fits_the_part_in_a_larger_module(tmp_path):
    alone, inside = build('timm ViT'), nn.ModuleDict({'backbone': build('timm ViT')})
    rein_seg.attach(alone, LORA)
    rein_seg.attach(inside, LORA)
    rein_seg.save_adapter(moved(alone), tmp_path / 'a.safetensors')
    rein_seg.load_adapter(inside, tmp_path / 'a.safetensors')
    torch.testing.assert_close(inside['backbone'](image()), alone(image()), rtol=0, atol=0)


def other_class():
    return rein_seg.attach(build('timm DINOv2 reg'), LORA).module


def other_shape():
    from tests.library.modules import timm_model

    sizes = dict(img_size=32, patch_size=8, embed_dim=32, depth=3, num_heads=2, num_classes=5)
    return rein_seg.attach(timm_model('vit_tiny_patch16_224', **sizes), LORA).module


@pytest.mark.parametrize(
    ('model', 'words'),
    [
        (lambda: rein_seg.attach(build('timm ViT'), 'LoRA').module, r'method.rank=2.* gives 16'),
        (lambda: rein_seg.attach(build('timm ViT'), 'VPT').module, 'another PEFT method'),
        (other_shape, 'another encoder'),
        (lambda: rein_seg.attach(build('transformers ViT'), LORA).module, 'transformers.ViTModel'),
        (
            lambda: rein_seg.attach(build('timm ViT'), LORA, trainable='head').module,
            'Missing: head.weight',
        ),
        (lambda: build('timm ViT'), 'has 0 attached methods'),
        (lambda: streets(), 'was made for another'),
    ],
)
def test_a_file_for_another_module_is_refused(model, words, tmp_path):
    made = build('timm ViT')
    rein_seg.attach(made, LORA)
    rein_seg.save_adapter(made, tmp_path / 'a.safetensors')
    model = model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(UserError, match=words):
        rein_seg.load_adapter(model, tmp_path / 'a.safetensors')
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_other_frozen_weights_are_said(tmp_path, monkeypatch):
    from rein_seg.library import adapters

    said = []
    monkeypatch.setattr(adapters, 'print_log', lambda line, **_: said.append(line))
    made, other = build('timm ViT'), build('timm ViT')
    rein_seg.attach(made, LORA)
    rein_seg.save_adapter(moved(made), tmp_path / 'a.safetensors')
    same = rein_seg.attach(build('timm ViT'), LORA).module
    rein_seg.load_adapter(same, tmp_path / 'a.safetensors')
    assert not said
    with torch.no_grad():
        other.blocks[0].mlp.fc1.weight.add_(1)
    rein_seg.attach(other, LORA)
    rein_seg.load_adapter(other, tmp_path / 'a.safetensors')
    assert len(said) == 1
    assert 'other frozen weights' in said[0]


@pytest.mark.parametrize('peft', [LORA, 'Rein', ['VPT', LORA]])
def test_the_file_of_a_built_model_is_enough_to_predict(peft, tmp_path):
    model = moved(streets(peft, palette=[[1, 2, 3], [4, 5, 6]])).eval()
    rein_seg.save_adapter(model, tmp_path / 'a.safetensors')
    predictor = rein_seg.load(tmp_path / 'a.safetensors', device='cpu')
    assert predictor.classes == ('road', 'sky')
    assert predictor.palette.tolist() == [[1, 2, 3], [4, 5, 6]]
    found = predictor.predict(photo()[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(found.map, model.predict(photo())[0].numpy())
    twin = streets(peft)
    rein_seg.load_adapter(twin, tmp_path / 'a.safetensors')
    torch.testing.assert_close(twin.eval()(photo()), model(photo()), rtol=0, atol=0)
    text = read_adapter(tmp_path / 'a.safetensors').metadata['config']
    assert str(tmp_path) not in text
    assert "name='custom-model'" in text


def test_other_classes_are_refused(tmp_path):
    rein_seg.save_adapter(streets(), tmp_path / 'a.safetensors')
    with pytest.raises(UserError, match=r"build it with classes=\['road', 'sky'\]"):
        rein_seg.load_adapter(streets(classes=('sky', 'road')), tmp_path / 'a.safetensors')
    with pytest.raises(UserError, match='number of classes'):
        rein_seg.load_adapter(streets(classes=('a', 'b', 'c')), tmp_path / 'a.safetensors')
    unnamed = rein_seg.build_model('vit_tiny', LORA, 'linear', 2)
    rein_seg.load_adapter(unnamed, tmp_path / 'a.safetensors')
    assert unnamed.classes == ('road', 'sky')
    with pytest.raises(UserError, match='not the classes of the model'):
        rein_seg.save_adapter(streets(), tmp_path / 'b.safetensors', classes=['a', 'b'])
    assert not (tmp_path / 'b.safetensors').exists()


def test_the_file_of_an_attached_method_is_no_whole_model(tmp_path):
    model = build('timm ViT')
    rein_seg.attach(model, LORA)
    rein_seg.save_adapter(model, tmp_path / 'a.safetensors')
    with pytest.raises(UserError, match=r'timm\.VisionTransformer.*load_adapter'):
        rein_seg.load(tmp_path / 'a.safetensors', device='cpu')


def test_nothing_is_written_of_a_diverged_training(tmp_path):
    model = build('timm ViT')
    attached = rein_seg.attach(model, LORA)
    with torch.no_grad():
        attached.trainable_parameters()[0].fill_(float('nan'))
    with pytest.raises(NotFinite):
        rein_seg.save_adapter(model, tmp_path / 'a.safetensors')
    assert not list(tmp_path.iterdir())
