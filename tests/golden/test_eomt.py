"""EoMT against the official one: whole models, every prediction, gradients of every kind."""

import re

import pytest
import torch

from rein_seg.heads import EoMTHead
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.structures import SeqSite
from tests.golden.collect import cases
from tests.golden.mask_encoders import encoder_config, grid_of, normalised

CASES = cases('eomt', 'eomt')
BACKBONE = 'encoder.backbone.'
IMAGE = ('encoder.pixel_mean', 'encoder.pixel_std')


class Stored:
    """Gives the numbers that the official run drew."""

    def __init__(self, inputs):
        self.inputs = inputs

    def uniform(self, block, batch, queries, device):
        drawn = self.inputs[f'draw.{block}']
        assert drawn.shape == (batch, queries)
        return drawn


class Model:
    """Our backbone and head with the weights of a case, and what its passes show."""

    def __init__(self, golden, folder):
        self.golden, self.config = golden, golden.meta['config']
        config, weights = self.config, golden.tensors('weight')
        encoder = encoder_config(config, weights, folder, out_indices=[config['depth'] - 1])
        peft = dict(type='Frozen' if config['frozen_encoder'] else 'Full')
        self.backbone = PEFTBackbone(encoder, peft).eval()
        self.head = EoMTHead(
            config['dim'],
            in_strides=config['patch'],
            num_classes=config['num_classes'],
            num_queries=config['num_q'],
            num_blocks=config['num_blocks'],
            masked_attention=config['masked_attn_enabled'],
        )
        own = {k: v for k, v in weights.items() if not k.startswith(BACKBONE) and k not in IMAGE}
        self.head.load_state_dict(own, strict=True)
        self.head.mask_draws = Stored(golden.tensors('input'))
        self.backbone.join(self.head)
        self.seen = {}
        blocks = self.backbone.anatomy.find(SeqSite)[-config['num_blocks'] :]
        blocks[0].entry.module.register_forward_pre_hook(self._note_features, prepend=True)
        blocks[-1].exit.module.register_forward_hook(self._note_last, prepend=True)

    def _note_features(self, module, args):
        features = args[0] if args[0].requires_grad else args[0].detach().requires_grad_()
        features.retain_grad()
        self.seen['features'] = features
        return (features, *args[1:])

    def _note_last(self, module, args, output):
        self.seen['last'] = output

    def run(self):
        """Returns the predictions of a training step, and the image."""
        image = self.golden.tensors('input')['image'].clone()
        image.requires_grad_(not self.config['frozen_encoder'])
        return self.head.train().predictions(self.backbone(normalised(image))), image


# names in timm's DINOv3 of the modules that transformers names otherwise
RENAMED = (
    (r'^patch_embed\.cls_token', 'cls_token'),
    (r'^patch_embed\.register_tokens', 'reg_token'),
    (r'^patch_embed\.patch_embeddings\.', 'patch_embed.proj.'),
    (r'\.attention\.o_proj\.', '.attn.proj.'),
    (r'\.attention\.[qkv]_proj\.', '.attn.qkv.'),
    (r'\.layer_scale(\d)\.lambda1', r'.gamma_\1'),
    (r'\.mlp\.up_proj\.', '.mlp.fc1.'),
    (r'\.mlp\.down_proj\.', '.mlp.fc2.'),
)


def gradient_of(encoder, name):
    """Returns the gradient of a parameter by its official name; q, k and v are parts of qkv."""
    own = name.removeprefix(BACKBONE)
    for pattern, other in RENAMED:
        own = re.sub(pattern, other, own)
    gradient = encoder.model.get_parameter(own).grad
    part = re.search(r'\.([qkv])_proj\.', name)
    return gradient if part is None else gradient.chunk(3)['qkv'.index(part[1])]


@pytest.mark.parametrize('golden', CASES)
def test_every_prediction_equals_the_official_one(golden, tmp_path):
    model = Model(golden, tmp_path)
    found, _ = model.run()
    expected, limits = golden.tensors('output'), golden.meta['tolerance']['output_max_abs']
    assert 2 * len(found) == len(expected)
    for index, pair in enumerate(found):
        for name, ours in zip(('class_logits', 'mask_logits'), pair, strict=True):
            key = f'{name}.{index}'
            error = (ours - expected[key]).abs().max()
            assert error <= limits[key], f'{key}: {error}'


@pytest.mark.parametrize('golden', CASES)
@torch.no_grad()
def test_tokens_ahead_of_the_queries_and_behind_the_blocks(golden, tmp_path):
    model, config = Model(golden, tmp_path), golden.meta['config']
    model.run()
    extra, prefix, queries = (
        golden.tensors('output_extra'),
        1 + config['registers'],
        config['num_q'],
    )
    torch.testing.assert_close(model.seen['features'], extra['features'], rtol=1e-4, atol=1e-4)
    order = torch.cat(  # ours: prefix, queries, patches
        (torch.arange(prefix, prefix + queries), torch.arange(prefix))
    )
    last = model.seen['last']
    order = torch.cat((order, torch.arange(prefix + queries, last.shape[1])))
    torch.testing.assert_close(last[:, order], extra['last_tokens'], rtol=1e-4, atol=1e-4)
    height, width = grid_of(config)
    assert last.shape[1] == prefix + queries + height * width


@pytest.mark.parametrize('golden', CASES)
def test_gradients_equal_the_official_ones(golden, tmp_path):
    model = Model(golden, tmp_path)
    found, image = model.run()
    cotangents, expected = golden.tensors('cotangent'), golden.tensors('grad')
    total = sum(
        (tensor * cotangents[f'{name}.{index}']).sum()
        for index, pair in enumerate(found)
        for name, tensor in zip(('class_logits', 'mask_logits'), pair, strict=True)
    )
    total.backward()
    ours = {name: p.grad for name, p in model.head.named_parameters()}
    ours |= {'features': model.seen['features'].grad, 'input.image': image.grad}
    limit = golden.meta['tolerance']['gradient_relative']
    for name, gradient in expected.items():
        mine = ours[name] if name in ours else gradient_of(model.backbone.encoder, name)
        error = (mine - gradient).abs().max()
        assert error <= limit * gradient.abs().max(), f'{name}: {error}'
    frozen = golden.meta['config']['frozen_encoder']
    assert frozen == all(p.grad is None for p in model.backbone.parameters())
