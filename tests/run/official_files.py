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
    rein = {
        'scale': (),
        'learnable_tokens_a': (depth, tokens, rank),
        'learnable_tokens_b': (depth, rank, width),
        **_linear('mlp_token2feat', width, width),
        **_linear('mlp_delta_f', width, width),
        **_linear('transform', width, dims),
        **_linear('merge', 3 * dims, dims),
    }
    head = {
        **_below('pixel_decoder', _pixel_decoder(width, dims)),
        **_below('transformer_decoder', _transformer_decoder(dims)),
        'level_embed.weight': (3, dims),
        **_linear('cls_embed', dims, classes + 1),
        **_linear('mask_embed.0', dims, dims),
        **_linear('mask_embed.2', dims, dims),
        **_linear('mask_embed.4', dims, dims),
        **_linear('querys2feat', dims, dims),
    }
    return _draw(_below('backbone.reins', rein) | _below('decode_head', head), 1)


def _pixel_decoder(width, dims):
    """Projections of the four maps and six deformable layers."""
    shapes = {
        'level_encoding.weight': (3, dims),
        'lateral_convs.0.conv.weight': (dims, width, 1, 1),
        **_affine('lateral_convs.0.gn', dims),
        'output_convs.0.conv.weight': (dims, dims, 3, 3),
        **_affine('output_convs.0.gn', dims),
        'mask_feature.weight': (dims, dims, 1, 1),
        'mask_feature.bias': (dims,),
    }
    for i in range(3):
        shapes |= {
            f'input_convs.{i}.conv.weight': (dims, width, 1, 1),
            f'input_convs.{i}.conv.bias': (dims,),
            **_affine(f'input_convs.{i}.gn', dims),
        }
    for i in range(6):
        layer = f'encoder.layers.{i}'
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
    return shapes


def _transformer_decoder(dims):
    """Nine layers of masked attention."""
    shapes = _affine('post_norm', dims)
    for i in range(9):
        layer = f'layers.{i}'
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
    return shapes


def _below(prefix, shapes):
    return {f'{prefix}.{name}': shape for name, shape in shapes.items()}


def _linear(name, inputs, outputs):
    return {f'{name}.weight': (outputs, inputs), f'{name}.bias': (outputs,)}


def _affine(name, width):
    return {f'{name}.weight': (width,), f'{name}.bias': (width,)}


def _draw(shapes, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * 0.02 for name, shape in shapes.items()}
