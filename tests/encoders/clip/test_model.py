"""CLIP's image tower: what sets it apart, OpenAI's names, the TorchScript archive."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rein_seg.encoders import build_encoder, convert_weights, find_anatomy
from rein_seg.errors import UserError
from tests.encoders.files import from_file
from tests.encoders.tiny import ENCODERS, image

TINY = ENCODERS['clip_tower']
NAMES = (
    ('patch_embed.projection', 'conv1'),
    ('cls_token', 'class_embedding'),
    ('pos_embed', 'positional_embedding'),
    ('pre_norm', 'ln_pre'),
    ('.ln1', '.ln_1'),
    ('.ln2', '.ln_2'),
    ('attn.qkv.', 'attn.in_proj_'),
    ('attn.proj', 'attn.out_proj'),
    ('ffn.layers.0.0', 'mlp.c_fc'),
    ('ffn.layers.1', 'mlp.c_proj'),
    ('layers.', 'transformer.resblocks.'),
)


def build(**change):
    return build_encoder({**TINY, **change})[0]


def official(encoder, prefix=''):
    state = {}
    tail = {'proj': torch.ones(16, 8), 'ln_post.weight': torch.ones(16)}
    for name, tensor in encoder.state_dict().items():
        if name.startswith('joint.'):
            tail[name.removeprefix('joint.')] = tensor.clone()
            continue
        for ours, theirs in NAMES:
            name = name.replace(ours, theirs)
        if name.endswith('embedding'):
            tensor = tensor[0, 0] if name == 'class_embedding' else tensor[0]
        state[prefix + name] = tensor.clone()
    return {**state, **{prefix + k: v for k, v in tail.items()}}


def text():
    return {
        'positional_embedding': torch.ones(7, 8),
        'transformer.resblocks.0.attn.in_proj_weight': torch.ones(24, 8),
        'token_embedding.weight': torch.ones(9, 8),
        'ln_final.weight': torch.ones(8),
        'text_projection': torch.ones(8, 8),
        'logit_scale': torch.ones(()),
        'context_length': torch.tensor(7),
    }


def mmpretrain_names(encoder):
    """The image tower of a whole CLIP of mmpretrain."""
    tower = {f'visual.{name}': tensor for name, tensor in encoder.state_dict().items()}
    rules = (('visual.joint.ln_post', 'visual.ln1'), ('visual.joint.proj', 'visual_proj.proj'))
    for ours, theirs in rules:
        tower = {name.replace(ours, theirs): tensor for name, tensor in tower.items()}
    return tower


def under_module(state):
    return {f'module.{name}': tensor for name, tensor in state.items()}


class Archive(nn.Module):
    """Holds a state dict under nested names, as a scripted model does."""

    def __init__(self, state):
        super().__init__()
        for name, tensor in state.items():
            module, *path = self, *name.split('.')
            for part in path[:-1]:
                if not hasattr(module, part):
                    module.add_module(part, Holder())
                module = getattr(module, part)
            module.register_buffer(path[-1], tensor)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Holder(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_no_patch_bias_and_a_norm_before_the_blocks():
    encoder = build()
    assert encoder.patch_embed.projection.bias is None
    assert encoder.layers[0].ln1.eps == encoder.pre_norm.eps == 1e-5


def test_positions_are_resized_bilinearly_by_size():
    encoder = build()
    grid = encoder.pos_embed[:, 1:].reshape(1, 4, 4, 16).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, size=(4, 6), mode='bilinear').flatten(2).transpose(1, 2)
    torch.testing.assert_close(encoder.positions((4, 6))[:, 1:], expected)


def test_class_embedding_enters_twice_unless_told_otherwise():
    twice, once = build(), build(class_embedding_twice=False)
    assert (twice(image())[0] - once(image())[0]).abs().max() > 1e-5
    with torch.no_grad():
        once.pos_embed[:, :1] += once.cls_token
    for x, y in zip(twice(image()), once(image()), strict=True):
        torch.testing.assert_close(x, y)
    with pytest.raises(UserError, match="class_embedding_twice='no': expected True or False"):
        build(class_embedding_twice='no')


@pytest.mark.parametrize('act', ['quick_gelu', 'gelu'])
def test_activation_of_openai_and_of_openclip(act):
    encoder, seen = build(**({} if act == 'quick_gelu' else dict(act=act))), {}
    fc1 = encoder.layers[0].ffn.layers[0]
    fc1[0].register_forward_hook(lambda module, args, out: seen.update(before=out))
    fc1.register_forward_hook(lambda module, args, out: seen.update(after=out))
    encoder(image())
    x = seen['before']
    expected = F.gelu(x) if act == 'gelu' else x * torch.sigmoid(1.702 * x)
    torch.testing.assert_close(seen['after'], expected)
    with pytest.raises(UserError, match="act='relu': expected one of"):
        build(act='relu')


@pytest.mark.parametrize('layout', ['tower', 'whole', 'archive', 'ours', 'openclip', 'module'])
def test_official_names_reach_every_tensor(layout, tmp_path):
    original, path = build(init_seed=3), tmp_path / 'w.pt'
    state = official(original, '' if layout == 'tower' else 'visual.')
    if layout == 'archive':
        half = {k: v.half() if v.is_floating_point() else v for k, v in {**text(), **state}.items()}
        torch.jit.script(Archive(half)).save(str(path))
    else:
        content = {
            'tower': state,
            'ours': original.state_dict(),
            'openclip': {'state_dict': under_module({**state, **text()})},
            'module': under_module(official(original)),
        }
        torch.save(content.get(layout, {**state, **text()}), path)
    encoder, _ = from_file(TINY, path)
    for name, tensor in original.state_dict().items():
        expected = tensor.half().float() if layout == 'archive' else tensor
        assert torch.equal(encoder.state_dict()[name], expected), name


@pytest.mark.parametrize(
    'layout', ['whole', 'half', 'ours', 'denseclip', 'zegclip', 'mmpretrain', 'mmpretrain_module']
)
def test_the_joint_space_comes_from_the_file(layout, tmp_path):
    cfg = {**ENCODERS['clip_joint'], 'out_indices': [1]}
    original = build_encoder({**cfg, 'init_seed': 3})[0]
    state = official(original, 'visual.')
    theirs = official(original, 'backbone.')
    system = {
        'decode_head.conv_seg.weight': torch.ones(3),
        'text_encoder.ln_final.bias': torch.ones(8),
    }
    others = {
        'denseclip': dict.fromkeys(('backbone.fpn1.0.weight', 'contexts', 'gamma'), torch.ones(2)),
        'zegclip': dict.fromkeys(
            ('backbone.prompt_proj.bias', 'backbone.deep_prompt_embeddings'), torch.ones(2)
        ),
    }
    mmpretrain = {**text(), **mmpretrain_names(original)}
    content = {
        'mmpretrain': mmpretrain,
        'mmpretrain_module': under_module(mmpretrain),
        'whole': {**state, **text()},
        'half': {k: v.half() for k, v in state.items()},
        'ours': original.state_dict(),
    }
    torch.save(content.get(layout) or {**theirs, **system, **others[layout]}, tmp_path / 'w.pt')
    encoder, _ = from_file(cfg, tmp_path / 'w.pt')
    for name, tensor in original.state_dict().items():
        expected = tensor.half().float() if layout == 'half' else tensor
        assert torch.equal(encoder.state_dict()[name], expected), name


def test_resampling_and_what_is_left_out():
    original = build(img_size=42, patch_size=7)
    converted = convert_weights(build(), {**official(original, 'visual.'), **text()})
    assert set(converted.left_out) == {*text(), 'proj', 'ln_post.weight'}
    assert converted.resampled == (
        'patch_embed.projection.weight 7x7 -> 8x8',
        'pos_embed 6x6 -> 4x4',
    )
    grid = original.pos_embed[:, 1:].reshape(1, 6, 6, 16).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, size=(4, 4), mode='bilinear').flatten(2).transpose(1, 2)
    torch.testing.assert_close(converted.tensors['pos_embed'][:, 1:], expected)


def test_a_whole_clip_of_mmpretrain_without_a_joint_space():
    original = build_encoder(ENCODERS['clip_joint'])[0]
    converted = convert_weights(build(), {**mmpretrain_names(original), **text()})
    assert set(converted.left_out) == {*text(), 'ln_post.weight', 'ln_post.bias', 'proj'}
    assert converted.tensors.keys() == build().state_dict().keys()


def test_other_sizes_and_other_files_are_explained(tmp_path):
    large = {**TINY['arch'], 'num_layers': 3}
    with pytest.raises(UserError, match='width 16, 3 blocks; .* width 16, 2 blocks'):
        convert_weights(build(), official(build(arch=large), 'visual.'))
    patches = official(build(patch_size=4), 'visual.')
    with pytest.raises(UserError, match='is of patch 4, the encoder of patch_size=8: set .*=4'):
        convert_weights(build(), patches)
    resnet = {'visual.layer1.0.conv1.weight': torch.ones(1)}
    with pytest.raises(
        UserError, match="is a ResNet, the encoder a CLIPViT: use type='CLIPResNet'"
    ):
        convert_weights(build(), resnet)


def test_anatomy_is_that_of_a_plain_vit():
    anatomy = find_anatomy(build())
    assert (anatomy.family, anatomy.num_prefix, anatomy.divisor) == ('vit', 1, 8)


def test_branches_are_left_out_more_often_from_block_to_block():
    sizes = {**TINY['arch'], 'num_layers': 3}
    encoder = build(arch=sizes, drop_path_rate=0.2)
    rates = [
        (layer.attn.out_drop.drop_prob, layer.ffn.dropout_layer.drop_prob)
        for layer in encoder.layers
    ]
    assert rates == [(0.0, 0.0), (0.1, 0.1), (0.2, 0.2)]
    plain = build(arch=sizes)
    plain.load_state_dict(encoder.state_dict())
    image = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        encoder.eval()
        plain.eval()
        assert torch.equal(encoder(image)[-1], plain(image)[-1])
        encoder.train()
        assert not torch.equal(encoder(image)[-1], plain(image)[-1])
    with pytest.raises(UserError, match='drop_path_rate=1: expected a number from 0 to below 1'):
        build(drop_path_rate=1)
