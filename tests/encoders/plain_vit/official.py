"""Files of DINOv2 as its authors and their tools write them, for tiny encoders."""

import torch

from rein_seg.encoders import build_encoder
from tests.encoders.tiny import ENCODERS

REGISTERS = ENCODERS['dinov2_registers']
PLAIN = {**REGISTERS, 'num_registers': 0}
# as published: patch 7 and a 5 x 5 grid, for an encoder of patch 8 and 4 x 4
PUBLISHED = dict(patch_size=7, img_size=35)
OFFICIAL = (
    ('ffn.layers.0.0', 'mlp.fc1'),
    ('ffn.layers.1', 'mlp.fc2'),
    ('ffn.w', 'mlp.w'),
    ('layers.', 'blocks.'),
    ('patch_embed.projection', 'patch_embed.proj'),
    ('attn.gamma1.weight', 'ls1.gamma'),
    ('ffn.gamma2.weight', 'ls2.gamma'),
    ('.ln', '.norm'),
)


def official(encoder):
    """The encoder's tensors as the authors name them."""
    state = {}
    for name, tensor in encoder.state_dict().items():
        for ours, theirs in OFFICIAL:
            name = name.replace(ours, theirs)
        state[name.replace('ln1.', 'norm.')] = tensor.clone()
    return {**state, 'mask_token': torch.zeros(1, 16)}


def published(cfg):
    """The file of a larger grid and another patch, with what the encoder does not use."""
    state = official(build_encoder({**cfg, **PUBLISHED, 'init_seed': 3})[0])
    unused = torch.randn(2, 16, generator=torch.Generator().manual_seed(4))
    return {**state, 'mask_token': unused[:1], 'norm.weight': unused[1]}


def chunked(state):
    return {k.replace('blocks.', 'blocks.0.'): v for k, v in state.items()}


LAYOUTS = {
    'official': lambda s: s,
    'chunks': chunked,
    'prefix': lambda s: {f'backbone.{k}': v for k, v in s.items()},
    'parallel': lambda s: {'model': {f'module.{k}': v for k, v in s.items()}},
    'teacher': lambda s: {
        'teacher': {**{f'backbone.{k}': v for k, v in s.items()}, 'dino_head.w': torch.ones(1)}
    },
    'head': lambda s: {**s, 'head.weight': torch.ones(1), 'norm.weight': torch.ones(16)},
}
