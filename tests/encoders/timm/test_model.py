"""timm's vision transformers: arguments, refusals, sites, prompts, sizes."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from rein_seg.encoders import build_encoder, find_anatomy, shapes_only
from rein_seg.encoders.timm import model as timm_module
from rein_seg.encoders.timm import weights as timm_weights_module
from rein_seg.encoders.timm.model import TimmEncoder
from rein_seg.errors import UserError
from rein_seg.peft import PEFTMethod
from rein_seg.structures import NormSite, OpSite, SeqSite
from tests.encoders.timm.official import DINOV3, EVA02, SIGLIP
from tests.encoders.tiny import image
from tests.paths import REPO

CONFIGS = REPO / 'configs' / '_base_' / 'encoders'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model='vit_small_patch16_dinov4'), "no model 'vit_small_patch16_dinov4'.*dinov3"),
        (dict(model='vit_small_patch16_dinov3.nonsense'), 'cannot be built'),
        (
            dict(model='convnext_tiny', patch_size=None, model_args={}),
            'such as ConvNeXt, use TimmStages',
        ),
        (
            dict(model='vit_relpos_small_patch16_224', model_args={}),
            'takes the classes VisionTransformer, Eva and Beit',
        ),
        (dict(model_args=dict(embed_dimension=3)), 'embed_dimension'),
        (dict(out_indices=[5]), 'goes beyond the encoder: it has 2 blocks'),
        (dict(resample='nearest'), "resample='nearest'"),
        (dict(img_sice=3), "takes no 'img_sice'"),
    ],
)
def test_bad_config(change, message):
    with pytest.raises(UserError, match=message):
        build_encoder({**DINOV3, **change})


def test_post_norm_blocks_are_refused():
    args = dict(embed_dim=16, depth=2, num_heads=2, use_post_norm=True, scale_attn_inner=False)
    with pytest.raises(UserError, match='EvaBlockPostNorm'):
        build_encoder({**EVA02, 'model_args': args})


def test_sizes_among_the_model_s_arguments_are_the_model_s():
    args = dict(depth=2, embed_dim=16, num_heads=2)
    inside = TimmEncoder('vit_tiny_patch16_224', model_args={**args, 'patch_size': 8})
    assert inside.grid.patch_size == 8
    beside = TimmEncoder('vit_tiny_patch16_224', patch_size=8, model_args={**args, 'patch_size': 4})
    assert beside.grid.patch_size == 8  # the encoder's own argument goes first


def test_default_outputs_follow_the_depth():
    assert TimmEncoder('vit_tiny_patch16_224').out_indices == (2, 5, 8, 11)
    assert TimmEncoder('vit_tiny_patch16_224', model_args=dict(depth=4)).out_indices == (0, 1, 2, 3)


class Prompts(PEFTMethod):
    def __init__(self, tokens):
        super().__init__()
        self.tokens = tokens

    def connect(self, anatomy):
        for site in anatomy.find(SeqSite):
            self.hook(site, self.insert)

    def insert(self, x, context):
        return self.tokens.expand(x.shape[0], -1, -1)


def test_prompts_on_a_rotary_encoder_are_not_rotated():
    """Two registers are the same as two prompts with their values."""
    args = dict(embed_dim=16, depth=1, num_heads=2, init_values=0.5, num_reg_tokens=3)
    cfg = {**DINOV3, 'model_args': args, 'out_indices': [0]}
    whole, _ = build_encoder(cfg)
    fewer, _ = build_encoder({**cfg, 'model_args': {**args, 'num_reg_tokens': 1}})
    state = whole.state_dict()
    tokens = state.pop('model.reg_token')
    fewer.load_state_dict({**state, 'model.reg_token': tokens[:, :1]})
    anatomy = find_anatomy(fewer)
    assert (find_anatomy(whole).num_prefix, anatomy.num_prefix) == (4, 2)
    with torch.no_grad():
        before = fewer(image())[0]
        method = Prompts(tokens[:, 1:])
        method.attach(fewer, anatomy)
        torch.testing.assert_close(fewer(image())[0], whole(image())[0])
        twin = copy.deepcopy(fewer)
        method.detach()
        assert torch.equal(fewer(image())[0], before)
        assert twin.model.blocks[0].attn.num_prefix_tokens == 4


def test_norms_that_only_some_models_have_are_sites():
    encoder, _ = build_encoder(EVA02)
    norms = {site.role: site.channels for site in find_anatomy(encoder).find(NormSite)}
    assert norms == {'norm1': 16, 'norm2': 16, 'ffn_norm': 42}
    parts = [site.parts for site in find_anatomy(encoder).find(OpSite, blocks=[0], role='fc1')]
    assert parts == [(('gate', 0, 42),), (('value', 0, 42),)]


@pytest.mark.parametrize('cfg', [DINOV3, SIGLIP], ids=['dinov3', 'siglip'])
def test_compiled_encoder_gives_the_same_output(cfg):
    backbone = MODELS.build(
        dict(type='PEFTBackbone', encoder=cfg, peft=dict(type='Rein', num_tokens=4, rank=2))
    ).eval()
    with torch.no_grad():
        compiled = torch.compile(backbone.encoder, backend='aot_eager')
        for x, y in zip(compiled(image()), backbone(image()).maps, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-5)


def test_timm_is_imported_on_first_use_only():
    for module in (timm_module, timm_weights_module):
        assert not [v for v in vars(module).values() if getattr(v, '__name__', '') == 'timm']


@pytest.mark.parametrize(
    ('name', 'encoder', 'method'),
    [
        # parameters of the encoder and of Rein, as published
        ('eva02_large', 304_237_504, 2_990_081),
        ('convnext_large', None, 8_289_156),
        ('resnet50', None, 13_187_588),
        ('dinov3_large', None, 2_990_081),
    ],
)
def test_base_configs_build_at_the_published_size(name, encoder, method):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    with shapes_only():
        built = MODELS.build(dict(type='PEFTBackbone', encoder=cfg.encoder, peft=dict(type='Rein')))
    assert sum(p.numel() for p in built.peft.parameters()) == method
    if encoder:
        assert sum(p.numel() for p in built.encoder.parameters()) == encoder
    strides = (4, 8, 8, 8) if name == 'resnet50' else (4, 8, 16, 32)
    tokens = name in ('eva02_large', 'dinov3_large')
    assert built.anatomy.out_strides == ((16,) * 4 if tokens else strides)
