"""Random weights in the layouts that are published, at full size; names and shapes by hand.

They come from the description of the files (specs, section 9), not from our modules: a test that
derived them from our own names could not find a wrong one.
"""

import torch


def dinov2(width=1024, depth=24, patch=14, grid=37, registers=0, hidden=4096):
    """The official file of a DINOv2 vision transformer."""
    shapes = {
        'cls_token': (1, 1, width),
        'pos_embed': (1, 1 + grid**2, width),
        'mask_token': (1, width),
        'patch_embed.proj.weight': (width, 3, patch, patch),
        'patch_embed.proj.bias': (width,),
        **_affine('norm', width),
    }
    if registers:
        shapes['register_tokens'] = (1, registers, width)
    for i in range(depth):
        block = f'blocks.{i}'
        shapes |= {
            **_affine(f'{block}.norm1', width),
            **_linear(f'{block}.attn.qkv', width, 3 * width),
            **_linear(f'{block}.attn.proj', width, width),
            f'{block}.ls1.gamma': (width,),
            **_affine(f'{block}.norm2', width),
            **_linear(f'{block}.mlp.fc1', width, hidden),
            **_linear(f'{block}.mlp.fc2', hidden, width),
            f'{block}.ls2.gamma': (width,),
        }
    return _draw(shapes, 0)


def rein_and_head(width=1024, depth=24, tokens=100, rank=16, classes=19, dims=256):
    """The official adapter-only checkpoint: Rein and the whole head, 303 tensors."""
    shapes = {
        'backbone.reins.scale': (),
        'backbone.reins.learnable_tokens_a': (depth, tokens, rank),
        'backbone.reins.learnable_tokens_b': (depth, rank, width),
        **_linear('backbone.reins.mlp_token2feat', width, width),
        **_linear('backbone.reins.mlp_delta_f', width, width),
        **_linear('backbone.reins.transform', width, dims),
        **_linear('backbone.reins.merge', 3 * dims, dims),
    }
    pixel, decoder = 'decode_head.pixel_decoder', 'decode_head.transformer_decoder'
    for i in range(3):
        shapes |= {
            f'{pixel}.input_convs.{i}.conv.weight': (dims, width, 1, 1),
            f'{pixel}.input_convs.{i}.conv.bias': (dims,),
            **_affine(f'{pixel}.input_convs.{i}.gn', dims),
        }
    for i in range(6):
        layer = f'{pixel}.encoder.layers.{i}'
        shapes |= {
            **_linear(f'{layer}.self_attn.sampling_offsets', dims, 192),
            **_linear(f'{layer}.self_attn.attention_weights', dims, 96),
            **_linear(f'{layer}.self_attn.value_proj', dims, dims),
            **_linear(f'{layer}.self_attn.output_proj', dims, dims),
            **_linear(f'{layer}.ffn.layers.0.0', dims, 1024),
            **_linear(f'{layer}.ffn.layers.1', 1024, dims),
            **_affine(f'{layer}.norms.0', dims),
            **_affine(f'{layer}.norms.1', dims),
        }
    shapes |= {
        f'{pixel}.level_encoding.weight': (3, dims),
        f'{pixel}.lateral_convs.0.conv.weight': (dims, width, 1, 1),
        **_affine(f'{pixel}.lateral_convs.0.gn', dims),
        f'{pixel}.output_convs.0.conv.weight': (dims, dims, 3, 3),
        **_affine(f'{pixel}.output_convs.0.gn', dims),
        f'{pixel}.mask_feature.weight': (dims, dims, 1, 1),
        f'{pixel}.mask_feature.bias': (dims,),
    }
    for i in range(9):
        layer = f'{decoder}.layers.{i}'
        for attention in ('self_attn', 'cross_attn'):
            shapes |= {
                f'{layer}.{attention}.attn.in_proj_weight': (3 * dims, dims),
                f'{layer}.{attention}.attn.in_proj_bias': (3 * dims,),
                **_linear(f'{layer}.{attention}.attn.out_proj', dims, dims),
            }
        shapes |= {
            **_linear(f'{layer}.ffn.layers.0.0', dims, 2048),
            **_linear(f'{layer}.ffn.layers.1', 2048, dims),
        }
        for j in range(3):
            shapes |= _affine(f'{layer}.norms.{j}', dims)
    shapes |= {
        **_affine(f'{decoder}.post_norm', dims),
        'decode_head.level_embed.weight': (3, dims),
        **_linear('decode_head.cls_embed', dims, classes + 1),
        **_linear('decode_head.mask_embed.0', dims, dims),
        **_linear('decode_head.mask_embed.2', dims, dims),
        **_linear('decode_head.mask_embed.4', dims, dims),
        **_linear('decode_head.querys2feat', dims, dims),
    }
    return _draw(shapes, 1)


def _linear(name, inputs, outputs):
    return {f'{name}.weight': (outputs, inputs), f'{name}.bias': (outputs,)}


def _affine(name, width):
    return {f'{name}.weight': (width,), f'{name}.bias': (width,)}


def _draw(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * 0.02 for name, shape in shapes.items()}
