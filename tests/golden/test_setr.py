"""SETR: whole models, heads alone and positions, against the official code.

B batch, N patch tokens, C channels, H x W grid.
"""

import math

import pytest
import torch

from rein_seg.encoders import build_encoder, convert_weights
from rein_seg.heads.contract import HeadInputs
from rein_seg.models.batch_norm import guard_batch_norms
from rein_seg.models.head_config import build_head
from rein_seg.structures import Features
from tests.golden.collect import assert_gradient, cases

PATCH = 16  # an official head resizes by this factor where no size is named


def build_model_encoder(config, file, **options):
    width = config['embed_dim']
    arch = dict(
        embed_dims=width,
        num_layers=config['depth'],
        num_heads=config['num_heads'],
        feedforward_channels=int(width * config['mlp_ratio']),
    )
    cfg = dict(
        type='SETRViT',
        arch=arch,
        img_size=config['img_size'],
        patch_size=config['patch_size'],
        out_indices=list(range(config['depth'])),
        norm_eps=config['layer_norm_eps'],
        drop_class_token=config['kind'] == 'setr_mla',
        checkpoint=file,
    )
    return build_encoder({**cfg, **options})[0]


def build(config, in_channels, variant, file, part='decode_head', **decoder):
    """A head of ours from an official file, as users load it."""
    inputs = HeadInputs(in_channels, None, config['num_classes'])
    norms = dict(norm_eps=config['layer_norm_eps'], norm_cfg=dict(type='BN', eps=config['bn_eps']))
    cfg = dict(type='SETRHead', variant=variant, checkpoint=file, checkpoint_part=part)
    head = build_head({**cfg, 'decoder': {**norms, **decoder}}, inputs)
    guard_batch_norms(head)
    return head


def up_head(config, official, channels, file, part, norm_maps):
    """An official up head: two convolutions, or five, each form of which is a variant of ours."""
    large, aux = official['num_conv'] == 4, official['num_upsample_layer'] == 2
    variant = 'pup' if large else 'pup_aux' if aux else 'naive'
    decoder = dict(hidden=config['hidden'], norm_maps=norm_maps)
    if not large:
        decoder['kernel_size'] = 3 if official['conv3x3_conv1x1'] else 1
    return build(config, channels, variant, file, part, **decoder)


def save(golden, path):
    file = str(path / 'setr.pth')
    weights = golden.tensors('weight')
    torch.save({'state_dict': weights, 'meta': {}}, file)
    return file


def as_map(tokens, config):
    """(B, 1+N, C) tokens -> (B, C, H, W), without the class token where there is one."""
    count = tokens.shape[1]
    grid = config.get('grid')
    if grid is None:
        grid = [math.isqrt(count)] * 2
    height, width = grid
    return tokens[:, count - height * width :].transpose(1, 2).unflatten(2, (height, width))


def size_of(official, map_):
    return pair(official['out_size'] or [PATCH * side for side in map_.shape[-2:]])


def pair(sides):
    return (sides, sides) if isinstance(sides, int) else tuple(sides)


def check(golden, found, modules, inputs):
    """Compares outputs, gradients and running statistics; modules: official prefix -> module."""
    outputs, tolerance = golden.tensors('output'), golden.meta['tolerance']
    assert outputs.keys() == found.keys()
    for name, expected in outputs.items():
        error = (found[name] - expected).abs().max().item()
        assert error <= tolerance['output_max_abs'][name], f'{name}: {error}'
    cotangents = golden.tensors('cotangent')
    if cotangents:
        sum((found[name] * value).sum() for name, value in cotangents.items()).backward()
    gradients = golden.tensors('grad')
    assert set(gradients) == set(golden.meta['checks'].get('gradients_of', ()))
    for name, expected in gradients.items():
        if name.startswith('input.'):
            found_one = inputs[name.removeprefix('input.')].grad
        else:
            found_one = find(modules, name).grad
        if found_one is None:  # no path from it to an output
            assert not expected.any(), name
        else:
            assert_gradient(found_one.view_as(expected), expected, name)
    for name, expected in golden.tensors('output_extra.after').items():
        torch.testing.assert_close(find(modules, name), expected, rtol=1e-5, atol=1e-6)


def find(modules, name):
    """The parameter or buffer of an official name."""
    prefix = max((p for p in modules if name.startswith(p)), key=len)
    return modules[prefix](name.removeprefix(prefix))


def named(module):
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return own.__getitem__


def of_encoder(encoder):
    """Official names of an encoder's parameters, found by the key map itself."""
    own = dict(encoder.named_parameters())
    rules = (
        ('blocks.', 'layers.'),
        ('patch_embed.proj.', 'patch_embed.projection.'),
        ('.norm', '.ln'),
        ('.mlp.fc1.', '.ffn.layers.0.0.'),
        ('.mlp.fc2.', '.ffn.layers.1.'),
    )

    def look_up(name):
        for theirs, ours in rules:
            name = name.replace(theirs, ours)
        return own[name]

    return look_up


def prepare(golden):
    inputs = {name: t.requires_grad_() for name, t in golden.tensors('input').items()}
    return golden.meta['config'], inputs


@pytest.mark.parametrize('golden', cases('setr', 'setr_up'))
def test_up_heads_equal_the_official_ones(golden, tmp_path):
    config, inputs = prepare(golden)
    file, modules = save(golden, tmp_path), {}
    if 'image' in inputs:
        encoder = build_model_encoder(config, file)
        encoder.requires_grad_().train(golden.meta['mode'] == 'train')
        modules['backbone.'] = of_encoder(encoder)
        maps = encoder(inputs['image'])
        check_blocks(golden, config, file, inputs['image'])
    else:
        maps = inputs.get('map')
        maps = [as_map(inputs['tokens'], config)] if maps is None else [maps]
    officials = {'decode_head': config['decode_head']}
    for i, one in enumerate(config['auxiliary_heads']):
        officials[f'auxiliary_head.{i}'] = one
    found = {}
    for part, official in officials.items():
        map_ = maps[official['in_index']]
        channels = (map_.shape[1],)
        # officially maps are not normalised, tokens are
        head = up_head(config, official, channels, file, part, norm_maps='map' not in inputs)
        head.train(golden.meta['mode'] == 'train')
        modules[f'{part}.'] = named(head.decoder)
        name = 'logits' if part == 'decode_head' else f'aux_logits{part.rpartition(".")[2]}'
        found[name] = head.predict(Features((map_,)), size_of(official, map_))
    check(golden, found, modules, inputs)


def check_blocks(golden, config, file, image):
    encoder = build_model_encoder(config, file, out_type='raw')
    with torch.no_grad():
        blocks = encoder(image)
    for name, expected in golden.tensors('output_extra').items():
        if name.startswith('block'):
            torch.testing.assert_close(
                blocks[int(name.removeprefix('block'))], expected, rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize('golden', cases('setr', 'setr_mla'))
def test_mla_equals_the_official_one(golden, tmp_path):
    config, inputs = prepare(golden)
    file = save(golden, tmp_path)
    pyramid = [inputs[name] for name in sorted(inputs) if name.startswith('mla')]
    levels = len(pyramid) or len(config['mla_index'])
    decoder = dict(channels=config['mla_channels'], head_channels=config['mlahead_channels'])
    whole = 'image' in inputs
    channels = (config['embed_dim'],) * levels
    train = golden.meta['mode'] == 'train'
    head = build(config, channels, 'mla', file if whole else None, **decoder)
    if not whole:  # the file begins behind the neck
        weights = {k.removeprefix('decode_head.'): v for k, v in golden.tensors('weight').items()}
        known = {k: v for k, v in weights.items() if 'conv_seg' not in k}
        missing, unexpected = head.decoder.load_state_dict(known, strict=False)
        assert not unexpected
        assert all(name.startswith(('norm_', 'mla.')) for name in missing)
    head.train(train)
    own = named(head.decoder)
    modules = {'decode_head.': own, '': own, 'backbone.norm_': lambda n: own(f'norm_{n}')}
    modules['backbone.mla.'] = lambda n: own(f'mla.{n}')
    if whole:
        encoder = build_model_encoder(config, file, out_indices=config['mla_index'])
        encoder.requires_grad_().train(train)
        modules['backbone.'] = of_encoder(encoder)
        pyramid = head.decoder.pyramid(encoder(inputs['image']))
        for i, one in enumerate(pyramid):
            torch.testing.assert_close(
                one, golden.tensor(f'output_extra.mla{i}'), rtol=1e-4, atol=1e-4
            )
    size = pair(config['out_size'])
    metas = [{'img_shape': torch.Size(size)}] * len(pyramid[0])
    logits = [head.decoder.classify(pyramid), *head.decoder.auxiliary_logits(pyramid)]
    names = ['logits', *(f'aux_logits{i}' for i in range(levels))]
    found = {n: head.predict_by_feat(x, metas) for n, x in zip(names, logits, strict=True)}
    check(golden, {name: found[name] for name in golden.tensors('output')}, modules, inputs)


@pytest.mark.parametrize('golden', cases('setr', 'setr_mla_aux_wide'))
def test_an_auxiliary_head_of_wide_tokens_equals_the_official_one(golden, tmp_path):
    config, inputs = prepare(golden)
    weights = golden.tensors('weight')
    torch.save({f'auxiliary_head.2.{k}': v for k, v in weights.items()}, tmp_path / 'setr.pth')
    map_ = as_map(inputs['tokens'], config)
    cfg = dict(type='SETRHead', variant='wide_aux', decoder=dict(hidden=config['hidden']))
    cfg |= dict(checkpoint=str(tmp_path / 'setr.pth'), checkpoint_part='auxiliary_head.2')
    head = build_head(cfg, HeadInputs((map_.shape[1],), None, config['num_classes'])).eval()
    found = {'logits': head.predict(Features((map_,)), pair(config['out_size']))}
    check(golden, found, {'': named(head.decoder)}, inputs)


@pytest.mark.parametrize('golden', cases('setr', 'setr_pos_embed_resize'))
def test_positions_are_resized_as_officially(golden):
    config = golden.meta['config']
    width = config['embed_dim']
    arch = dict(embed_dims=width, num_layers=1, num_heads=1, feedforward_channels=width)
    encoder, _ = build_encoder(
        dict(
            type='SETRViT',
            arch=arch,
            img_size=[8 * side for side in pair(config['to_grid'])],
            patch_size=8,
            align_corners=config['align_corners'],
            init_seed=0,
        )
    )
    file = {'cls_token': torch.zeros(1, 1, width), **golden.tensors('weight')}
    file['patch_embed.proj.weight'] = torch.zeros(width, 3, 8, 8)
    file['blocks.0.norm1.bias'] = torch.zeros(width)
    found = convert_weights(encoder, file).tensors['pos_embed']
    expected = golden.tensor('output.pos_embed')
    error = (found - expected).abs().max().item()
    assert error <= golden.meta['tolerance']['output_max_abs']['pos_embed'], error
