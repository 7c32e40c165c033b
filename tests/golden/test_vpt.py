"""VPT against the official transformers: every block with its prompts, outputs, gradients."""

import pytest
import torch

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.peft.methods.vpt import VPT, from_official, merge
from rein_seg.prompt_rows import split_prompts
from tests.golden.blocks import check, joined, renamed
from tests.golden.collect import cases

VIT_NAMES = (
    ('^embeddings\\.cls_token$', 'cls_token'),
    ('^embeddings\\.position_embeddings$', 'pos_embed'),
    ('^embeddings\\.patch_embeddings\\.', 'patch_embed.projection.'),
    ('^encoder\\.encoder_norm\\.', 'ln1.'),
    ('^encoder\\.layer\\.', 'layers.'),
    ('\\.attention_norm\\.', '.ln1.'),
    ('\\.ffn_norm\\.', '.ln2.'),
    ('\\.attn\\.out\\.', '.attn.proj.'),
    ('\\.ffn\\.fc1\\.', '.ffn.layers.0.0.'),
    ('\\.ffn\\.fc2\\.', '.ffn.layers.1.'),
)
PROMPTS = ('prompt_embeddings', 'deep_prompt_embeddings', 'prompt_proj')


def split(weights):
    prompts = {k: v for k, v in weights.items() if k.startswith(PROMPTS)}
    return prompts, {k: v for k, v in weights.items() if k not in prompts}


class Seen:
    """Keeps what leaves some modules, before a method that is attached later takes part off."""

    def __init__(self, modules):
        self.outputs = [None] * len(modules)
        for index, module in enumerate(modules):
            module.register_forward_hook(lambda m, a, y, i=index: self.outputs.__setitem__(i, y))


def attach(golden, encoder):
    """Puts VPT with the official prompts on an encoder; returns gradients by official name."""
    config, (prompts, _) = golden.meta['config'], split(golden.tensors('weight'))
    project = config.get('project', -1)
    method = VPT(
        config['num_tokens'],
        form='deep' if config['deep'] else 'shallow',
        project_dims=None if project < 0 else project,
    )
    method.attach(encoder, find_anatomy(encoder))
    method.eval().load_state_dict(from_official(prompts), strict=True)
    return {name: lambda n=name: gradient(method, n) for name in prompts}


def gradient(method, name):
    """The part of our gradient that is the official parameter's."""
    if name.startswith('prompt_proj.'):
        return getattr(method.projections[0], name.rpartition('.')[2]).grad
    if name == 'prompt_embeddings':
        return method.prompts[0].grad[:1]
    stage = int(name.rpartition('_')[2]) if name[-1].isdigit() else 0
    return method.prompts[stage].grad[0 if stage else 1 :]


def vit(golden):
    config = golden.meta['config']
    encoder, _ = build_encoder(
        dict(
            type='mmpretrain.VisionTransformer',
            arch=dict(
                embed_dims=config['dim'],
                num_layers=config['depth'],
                num_heads=config['heads'],
                feedforward_channels=config['mlp_dim'],
            ),
            img_size=config['image'],
            patch_size=config['patch'],
            out_type='featmap',
            final_norm=True,
            init_seed=0,
        )
    )
    _, own = split(golden.tensors('weight'))
    own = joined(renamed(own, VIT_NAMES), names=('query', 'key', 'value'))
    encoder.load_state_dict(own, strict=True)
    encoder.requires_grad_(False).eval()  # which returns None
    return encoder


@pytest.mark.parametrize('golden', cases('vpt', ''))
def test_vit_equals_the_official_one(golden):
    encoder = vit(golden)
    seen = Seen(encoder.layers)
    params = attach(golden, encoder)
    x = golden.tensors('input')['x'].requires_grad_()
    encoder(x)
    for name, expected in golden.tensors('output_extra').items():
        if name.startswith('block'):
            torch.testing.assert_close(seen.outputs[int(name[5:])], expected, atol=1e-4, rtol=1e-4)
    check(golden, {'encoded': encoder.ln1(seen.outputs[-1])}, params, x)


def swin(golden, folder):
    config = golden.meta['config']
    cfg = dict(
        type='Swin',
        arch=dict(embed_dims=config['dim'], depths=config['depths'], num_heads=config['heads']),
        window_size=config['window'],
        patch_size=config['patch'],
        ffn_ratio=config['mlp_ratio'],
    )
    _, own = split(golden.tensors('weight'))
    torch.save({'model': own}, folder / 'swin.pth')
    encoder, _ = build_encoder({**cfg, 'checkpoint': str(folder / 'swin.pth')})
    side = config['image'] // config['patch']
    for stage in encoder.stages:  # the official classifier does not shift a map of one window
        for block in stage.blocks:
            if side <= config['window']:
                block.attn.shift_size = 0
        side //= 2
    encoder.requires_grad_(False).eval()  # which returns None
    return encoder


@pytest.mark.parametrize('golden', cases('vpt', 'swin'))
def test_swin_equals_the_official_one(golden, tmp_path):
    encoder, count = swin(golden, tmp_path), golden.meta['config']['num_tokens']
    seen = Seen([stage.blocks[-1] for stage in encoder.stages])
    params = attach(golden, encoder)
    x = golden.tensors('input')['x'].requires_grad_()
    encoder(x)
    own = {}
    for index, (stage, y) in enumerate(zip(encoder.stages, seen.outputs, strict=True)):
        grid, prompts = split_prompts(y, count)
        if stage.downsample is not None:
            grid, prompts = stage.downsample(grid), merge(prompts, stage.downsample)
        own[f'stage{index}'] = torch.cat((prompts, grid.flatten(1, 2)), dim=1)
    norm = getattr(encoder, f'norm{len(encoder.stages) - 1}')
    own['tokens'] = norm(own[f'stage{len(encoder.stages) - 1}'])
    check(golden, own, params, x)
