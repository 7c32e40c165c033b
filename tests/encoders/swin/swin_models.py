"""Tiny Swin encoders, ours and mmpretrain's, for the tests of swin."""

import re

import torch
from mmpretrain.models.backbones.swin_transformer import SwinTransformer

from rein_seg.encoders import build_encoder
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


def renamed(state, rules):
    for pattern, replacement in rules:
        state = {re.sub(pattern, replacement, name): tensor for name, tensor in state.items()}
    return state


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
