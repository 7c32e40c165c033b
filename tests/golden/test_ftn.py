"""PGT and its parts, the FPT head and the whole FTN against the pull request's code.

Names are the official ones, so weights load strictly. The FPN between encoder and head is mmseg's.
"""

import pytest
from mmseg.models import FPN
from torch import nn

from rein_seg.encoders.pgt import PGT
from rein_seg.encoders.pgt.blocks import PGTBlock, PGTStage, Transform
from rein_seg.heads import FPTHead
from rein_seg.structures import Features, RunState
from tests.golden.blocks import assert_outputs
from tests.golden.collect import assert_gradient, cases


class Block(nn.Module):
    """A block on the grid of the case."""

    def __init__(self, config):
        super().__init__()
        state = RunState(grid=tuple(config['grid']))
        sizes = (config[key] for key in ('embed_dims', 'num_heads', 'group_num'))
        options = {key: config[key] for key in ('mlp_ratio', 'qkv_bias', 'padding')}
        self.block = PGTBlock(*sizes, state=state, **options)

    def forward(self, tokens):
        return {'tokens': self.block(tokens)}


class Stage(nn.Module):
    def __init__(self, config):
        super().__init__()
        state, width = RunState(), config['embed_dims']
        options = {key: config[key] for key in ('mlp_ratio', 'padding')}
        self.stage = PGTStage(
            Transform(config['in_channels'], width, config['patch_size'], state=state),
            [
                PGTBlock(width, config['num_heads'], config['group_num'], state=state, **options)
                for _ in range(config['depth'])
            ],
        )

    def forward(self, map):
        return {'tokens': self.stage(map)}


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        sizes = {key: config[key] for key in ('embed_dims', 'depths', 'num_heads', 'group_nums')}
        others = ('mlp_ratio', 'out_indices', 'qkv_bias', 'patch_norm', 'padding')
        self.encoder = PGT(sizes, **{key: config[key] for key in others})

    def forward(self, image):
        maps = self.encoder(image)
        return {f'stage{i}': x for i, x in zip(self.encoder.out_indices, maps, strict=True)}


class Head(nn.Module):
    def __init__(self, config):
        super().__init__()
        given = ('num_layers', 'sra_ratios', 'mlp_ratio', 'num_classes', 'axis_order')
        others = {key: config[key] for key in ('use_ape', 'ape_sizes') if key in config}
        levels = len(config['num_layers'])
        self.head = FPTHead(
            [config['channels']] * levels,
            in_index=list(range(levels)),
            num_heads=config['head_num_heads'],
            **{key: config[key] for key in given},
            **others,
        )

    def forward(self, **maps):
        ordered = tuple(maps[f'map{i}'] for i in range(len(maps)))
        return {'logits': self.head(Features(ordered))}


class Model(nn.Module):
    """The whole network, with its names."""

    def __init__(self, config):
        super().__init__()
        self.backbone = Encoder(config).encoder
        widths = [self.backbone.widths[stage] for stage in config['out_indices']]
        self.neck = FPN(widths, config['channels'], num_outs=len(widths))
        self.decode_head = Head(config).head

    def forward(self, image):
        maps = self.backbone(image)
        pyramid = self.neck(maps)
        stages = {f'stage{i}': x for i, x in zip(self.backbone.out_indices, maps, strict=True)}
        levels = {f'neck{i}': x for i, x in enumerate(pyramid)}
        return {'logits': self.decode_head(Features(pyramid)), **stages, **levels}


KINDS = {'pgt_block': Block, 'pgt_stage': Stage, 'pgt': Encoder, 'fpt_head': Head, 'ftn': Model}


def assert_extras(golden, own):
    """The results in between, as near as the outputs: 1e-5 of the largest value."""
    for name, expected in golden.tensors('output_extra').items():
        assert (own[name] - expected).abs().max() <= 1e-5 * expected.abs().max(), name


@pytest.mark.parametrize('golden', cases('ftn', '', 'fpt_head'))
def test_equals_the_official_module(golden):
    wrapped = KINDS[golden.meta['config']['kind']](golden.meta['config'])
    module = wrapped if isinstance(wrapped, Model) else next(wrapped.children())
    module.load_state_dict(golden.tensors('weight'), strict=True)
    wrapped.train(golden.meta['mode'] == 'train')
    inputs = {name: x.requires_grad_() for name, x in golden.tensors('input').items()}
    own = wrapped(**inputs)
    assert_outputs(own, golden)
    assert_extras(golden, own)
    cotangents = golden.tensors('cotangent')
    sum((own[name] * cotangents[name]).sum() for name in cotangents).backward()
    params = dict(module.named_parameters())
    for name, expected in golden.tensors('grad').items():
        given = name.startswith('input.')
        tensor = inputs[name.removeprefix('input.')] if given else params[name]
        assert_gradient(tensor.grad, expected, name)
    assert sum(p.numel() for p in module.parameters()) == golden.meta['checks']['parameters']
