"""Tiny models of timm with random values, and the official file of DINOv3."""

import torch
from safetensors.torch import save_file

from rein_seg.encoders.timm.model import build_timm
from tests.encoders.tiny import ENCODERS

DINOV3, EVA02 = ENCODERS['dinov3'], ENCODERS['eva02']
SIGLIP = dict(
    type='TimmEncoder',
    model='vit_base_patch16_siglip_224',
    img_size=32,
    patch_size=8,
    out_indices=[0, 1],
    model_args=dict(embed_dim=16, depth=2, num_heads=2),
    init_seed=0,
)


def randomised(cfg):
    """A timm model of this config, as timm builds it, with trained-looking values."""
    sizes = {k: cfg[k] for k in ('img_size', 'patch_size') if k in cfg}
    model = build_timm(cfg['model'], {**cfg['model_args'], **sizes}).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for param in model.parameters():
            param.copy_(torch.randn(param.shape, generator=generator) * 0.2)
    return model


def official_dinov3(model):
    """Meta's names, with what its files hold besides: k's bias (masked), periods, mask token."""
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith('q_bias'):
            other = model.state_dict()[name.replace('q_bias', 'v_bias')]
            joined = torch.cat((value, torch.full_like(value, 7.0), other))
            state[name.replace('q_bias', 'qkv.bias')] = joined
            state[name.replace('q_bias', 'qkv.bias_mask')] = torch.ones_like(joined)
        elif not name.endswith('v_bias'):
            name = name.replace('gamma_1', 'ls1.gamma').replace('gamma_2', 'ls2.gamma')
            state[name.replace('reg_token', 'storage_tokens')] = value
    state['rope_embed.periods'] = torch.ones(2)
    state['mask_token'] = torch.ones(1, 16)
    state['norm.weight'], state['norm.bias'] = torch.ones(16), torch.ones(16)
    return state


def saved(state, path):
    save_file({k: v.detach().contiguous().clone() for k, v in state.items()}, path)
    return str(path)


def timm_maps(model, x):
    return model.forward_intermediates(x, indices=[0, 1], intermediates_only=True)
