"""Tiny Swin encoders, ours and mmpretrain's, and their files, for the tests of swin."""

import re

import torch
from mmpretrain.models.backbones.swin_transformer import SwinTransformer

from rein_seg.encoders import build_encoder
from tests.encoders.files import renamed
from tests.encoders.tiny import ENCODERS

TINY = ENCODERS['swin']
THREE = dict(embed_dims=16, depths=[2, 1, 3], num_heads=[2, 4, 8])


def build(**change):
    """A tiny encoder with values that show everywhere: norms and biases are not the identity."""
    encoder = build_encoder({**TINY, **change})[0]
    generator = torch.Generator().manual_seed(change.get('init_seed', 0) + 9)
    with torch.no_grad():
        for name, param in encoder.named_parameters():
            if 'table' in name:
                param.copy_(torch.randn(param.shape, generator=generator))
            elif param.dim() == 1:
                param.add_(0.3 * torch.randn(param.shape, generator=generator))
    return encoder


def their_class(encoder):
    """mmpretrain's, of the same sizes and weights, padding as for segmentation."""
    arch = dict(embed_dims=encoder.embed_dims, depths=encoder.depths, num_heads=encoder.num_heads)
    theirs = SwinTransformer(
        arch=arch,
        window_size=3,
        out_indices=encoder.out_indices,
        drop_path_rate=0.0,
        pad_small_map=True,
    )
    own = renamed(encoder.state_dict(), [(r'\.attn\.', '.attn.w_msa.')])
    theirs.load_state_dict({**theirs.state_dict(), **own})  # it keeps its indices
    return theirs


def buffers(state, table):
    """With the indices and masks that files hold beside the tables."""
    names = [name.removesuffix(table) for name in state if name.endswith(table)]
    return {
        **state,
        **{f'{name}relative_position_index': torch.zeros(9, 9).long() for name in names},
    }


def to_official(tensor):
    """(..., 4 C) from mmcv's (C, row, column): four slices, top left, bottom left, and so on."""
    slices = [tensor[..., 2 * row + column :: 4] for column in (0, 1) for row in (0, 1)]
    return torch.cat(slices, dim=-1)


def official(encoder):
    """A classifier as Microsoft publishes it: one norm, a head, masks of odd blocks."""
    last = len(encoder.depths) - 1
    state = {k: v for k, v in encoder.state_dict().items() if not re.match(r'norm[0-8]\.', k)}
    state |= {k.replace(f'norm{last}', 'norm'): v
              for k, v in encoder.state_dict().items() if k.startswith(f'norm{last}.')}  # fmt: skip
    rules = ((r'^stages\.', 'layers.'), (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
             (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
             (r'^patch_embed\.projection', 'patch_embed.proj'))  # fmt: skip
    state = renamed(state, rules)
    state = {k: to_official(v) if '.downsample.' in k else v.clone() for k, v in state.items()}
    state = buffers(state, 'relative_position_bias_table')
    masks = {'layers.0.blocks.1.attn_mask': torch.zeros(12, 9, 9)}
    return {**state, **masks, 'head.weight': torch.ones(4, 8), 'head.bias': torch.ones(4)}
