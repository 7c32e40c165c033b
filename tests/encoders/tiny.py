"""One tiny encoder of each family, by name: a new family is one row. And an image for them."""

import torch

VIT = dict(
    type='mmpretrain.VisionTransformer',
    arch=dict(embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=64),
    img_size=32,
    patch_size=8,
    out_indices=[0, 1, 2],
    out_type='featmap',
    final_norm=False,
    init_seed=0,
)
_PVT = dict(
    embed_dims=[16, 32], num_heads=[2, 4], mlp_ratios=[2, 2], depths=[1, 2], sr_ratios=[4, 2]
)
# blocks with and without an expansion, gates, and a padding that depends on the image's size
_EFFICIENTNET = dict(
    type='TimmStages',
    model='test_efficientnet',
    model_args=dict(channel_multiplier=0.5, depth_multiplier=2.0, pad_type='same', bn_eps=1.0),
    init_seed=0,
)
_SWINV2 = dict(
    type='TimmStages',
    model='swinv2_tiny_window8_256',
    model_args=dict(embed_dim=32, depths=(2, 1), num_heads=(2, 4), window_size=4),
    init_seed=0,
)
_PVTV2 = dict(
    type='TimmStages',
    model='pvt_v2_b0',
    out_indices=[0, 1],
    model_args=_PVT,
    init_seed=0,
)
ENCODERS = {
    'vit': VIT,
    'vit_without_cls': {**VIT, 'with_cls_token': False},
    'dinov2': {**VIT, 'layer_scale_init_value': 0.5},
    'dinov2_swiglu': {
        **VIT,
        'layer_scale_init_value': 0.5,
        'layer_cfgs': dict(ffn_type='swiglu_fused'),
    },
    'clip': {**VIT, 'pre_norm': True, 'final_norm': True},
    'dinov2_registers': dict(
        type='DINOv2',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
        num_registers=2,
        layer_scale_init_value=0.5,
        init_seed=0,
    ),
    'vit_tiny': dict(
        type='TinyViT',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
        init_seed=0,
    ),
    'tiny_clip': dict(
        type='TinyCLIP',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
        joint_dims=8,
        init_seed=0,
    ),
    'vit_setr': dict(
        type='SETRViT',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
        init_seed=0,
    ),
    'vit_setr_mla': dict(
        type='SETRViT',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
        drop_class_token=True,
        init_seed=0,
    ),
    'clip_tower': dict(
        type='CLIPViT',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
        init_seed=0,
    ),
    'clip_joint': dict(
        type='CLIPViT',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
        joint_dims=8,
        init_seed=0,
    ),
    'convnext': dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[1, 2], channels=[16, 32]),
        out_indices=[0, 1],
        gap_before_final_norm=False,
        layer_scale_init_value=0.5,
        init_seed=0,
    ),
    'convnext_conv': dict(
        type='mmpretrain.ConvNeXt',
        arch=dict(depths=[2, 1], channels=[16, 24]),
        out_indices=[1],
        gap_before_final_norm=False,
        linear_pw_conv=False,
        use_grn=True,
        layer_scale_init_value=0.0,
        init_seed=0,
    ),
    'dinov3': dict(
        type='TimmEncoder',
        model='vit_small_patch16_dinov3_qkvb',
        patch_size=8,
        out_indices=[0, 1],
        model_args=dict(embed_dim=16, depth=2, num_heads=2, num_reg_tokens=2, init_values=0.5),
        init_seed=0,
    ),
    'eva02': dict(
        type='TimmEncoder',
        model='eva02_large_patch14_224',
        img_size=32,
        patch_size=8,
        out_indices=[0, 1],
        resample='bicubic',
        model_args=dict(embed_dim=16, depth=2, num_heads=2),
        init_seed=0,
    ),
    # tables of relative positions for a 4 x 4 grid
    'beit': dict(
        type='TimmEncoder',
        model='beitv2_base_patch16_224',
        img_size=32,
        patch_size=8,
        out_indices=[0, 1],
        model_args=dict(embed_dim=16, depth=2, num_heads=2, init_values=0.5),
        init_seed=0,
    ),
    # RMS norms, SwiGLU, no prefix tokens and no biases
    'aimv2': dict(
        type='TimmEncoder',
        model='aimv2_large_patch14_224',
        img_size=32,
        patch_size=8,
        out_indices=[0, 1],
        model_args=dict(embed_dim=16, depth=2, num_heads=2),
        init_seed=0,
    ),
    # rotary and absolute positions, a norm before the blocks
    'pe_spatial': dict(
        type='TimmEncoder',
        model='vit_pe_spatial_tiny_patch16_512',
        img_size=32,
        patch_size=8,
        out_indices=[0, 1],
        model_args=dict(embed_dim=16, depth=2, num_heads=2),
        init_seed=0,
    ),
    # grids of 8 x 12 and 4 x 6 of a 32 x 48 image: windows of 7 pad the first. Its networks of
    # positions are 8 wide: in narrower ones, drawn at random, all units may be dead
    'hlg': dict(
        type='HLGTransformer',
        arch=dict(embed_dims=[128, 128], depths=[2, 2], num_heads=[4, 4]),
        init_seed=0,
    ),
    'efficientnet': {**_EFFICIENTNET, 'out_indices': [2, 3]},
    'regnet': dict(type='TimmStages', model='regnety_004', out_indices=[1, 2], init_seed=0),
    # an 8 x 12 grid of a 32 x 48 image, then 4 x 6: windows of 4 pad the second
    'swinv2': _SWINV2,
    'pvtv2': _PVTV2,
    'resnet': dict(
        type='mmseg.ResNetV1c',
        depth=18,
        stem_channels=8,
        base_channels=8,
        num_stages=2,
        out_indices=[0, 1],
        strides=[1, 2],
        dilations=[1, 1],
        init_seed=0,
    ),
    'resnet_ibn': dict(
        type='IBNResNet',
        depth=18,
        stem_channels=8,
        base_channels=8,
        num_stages=2,
        out_indices=[0, 1],
        strides=[1, 2],
        dilations=[1, 1],
        init_seed=0,
    ),
    'resnet_clip': dict(type='CLIPResNet', arch=dict(width=16, depths=[1, 2, 1, 1]), init_seed=0),
    'resnet_clip_joint': dict(
        type='CLIPResNet',
        arch=dict(width=16, depths=[1, 2, 1, 1]),
        img_size=64,
        joint_dims=8,
        init_seed=0,
    ),
    'resnetv2': dict(
        type='ResNetV2',
        depths=[2, 1],
        stem_channels=8,
        base_channels=16,
        norm_groups=4,
        out_indices=[1, 2],
        init_seed=0,
    ),
    'sam': dict(
        type='SAMViT',
        arch=dict(
            embed_dims=16,
            num_layers=2,
            num_heads=2,
            feedforward_channels=32,
            global_attn_indexes=[1],
        ),
        img_size=32,
        patch_size=8,
        window_size=3,
        out_indices=[0, 1],
        init_seed=0,
    ),
    # an 8 x 12 grid of a 32 x 48 image, then 4 x 6: windows of 3 pad both
    'swin': dict(
        type='Swin',
        arch=dict(embed_dims=16, depths=[2, 2], num_heads=[2, 4]),
        window_size=3,
        init_seed=0,
    ),
    # an 8 x 12 grid of a 32 x 48 image, then 4 x 6: 3 x 3 groups pad rows
    'pgt': dict(
        type='PGT',
        arch=dict(embed_dims=16, depths=[2, 1], num_heads=[2, 4], group_nums=[9, 1]),
        init_seed=0,
    ),
    'ddrnet': dict(
        type='DualResNet',
        arch=dict(planes=16, layers=[2, 1, 2, 1], spp_planes=8, num_halves=2),
        norm_cfg=dict(type='BN', eps=1.0),  # random weights would make large values
        init_seed=0,
    ),
    # grids as of Swin; keys of 2 x 3, then 2 x 3
    'pvt_v1': dict(type='PVT', arch=dict(version='v1', **_PVT), img_size=32, init_seed=0),
    'pvt_v2': dict(type='PVT', arch=dict(version='v2', **_PVT), init_seed=0),
    'pvt_linear': dict(type='PVT', arch=dict(version='v2', linear=True, **_PVT), init_seed=0),
}
# norms behind the branches magnify rounding
POST_NORM = ('swinv2',)
LAYOUTS = {
    'sam': 'NHWC',
    'convnext': 'NCHW',
    'efficientnet': 'NCHW',
    'regnet': 'NCHW',
    'resnet': 'NCHW',
    'resnetv2': 'NCHW',
    'ddrnet': 'NCHW',
    'swin': 'windows',
    'swinv2': 'windows',
    'pvtv2': 'NLC without prompts',
}


def layout(name: str) -> str:
    """Returns how an encoder holds its features; those not named here hold tokens."""
    return LAYOUTS.get(name.partition('_')[0], 'NLC')


def _plain(name: str, **others) -> dict:
    base = ENCODERS[name]
    return {
        **base,
        'arch': {**base['arch'], 'num_layers': 4},
        'out_indices': [0, 1, 2, 3],
        **others,
    }


def _timm(name: str) -> dict:
    base = ENCODERS[name]
    return {
        **base,
        'model_args': {**base['model_args'], 'depth': 4},
        'out_indices': [0, 1, 2, 3],
    }


_STAGES = dict(depths=[1, 1, 1, 1])
# one of each family (what names begin with) with four maps, which some heads need
FOUR_MAPS = {
    'vit': _plain('vit'),
    'dinov2': _plain('dinov2'),
    'clip': _plain('clip_tower'),
    'tiny': _plain('tiny_clip'),
    'convnext': {
        **ENCODERS['convnext'],
        'arch': dict(**_STAGES, channels=[8, 8, 16, 16]),
        'out_indices': [0, 1, 2, 3],
    },
    'efficientnet': _EFFICIENTNET,
    'regnet': {**ENCODERS['regnet'], 'out_indices': None},
    'swinv2': {
        **_SWINV2,
        'model_args': dict(embed_dim=8, depths=(1,) * 4, num_heads=(1, 1, 2, 2), window_size=4),
    },
    'pvtv2': {
        **_PVTV2,
        'out_indices': None,
        'model_args': dict(
            embed_dims=(8, 8, 16, 16),
            depths=(1,) * 4,
            num_heads=(1, 1, 2, 2),
            mlp_ratios=(2,) * 4,
            sr_ratios=(8, 4, 2, 1),
        ),
    },
    'dinov3': _timm('dinov3'),
    'eva02': _timm('eva02'),
    'beit': _timm('beit'),
    'aimv2': _timm('aimv2'),
    'pe': _timm('pe_spatial'),
    'hlg': {
        **ENCODERS['hlg'],
        'arch': dict(embed_dims=[48] * 4, **_STAGES, num_heads=[1, 1, 3, 3]),
    },
    'pvt': dict(
        type='PVT',
        arch=dict(
            version='v2',
            embed_dims=[8, 8, 16, 16],
            num_heads=[1, 1, 2, 2],
            mlp_ratios=[2, 2, 2, 2],
            **_STAGES,
        ),
        init_seed=0,
    ),
    'resnet': {
        **ENCODERS['resnet'],
        'num_stages': 4,
        'out_indices': [0, 1, 2, 3],
        'strides': [1, 2, 2, 2],
        'dilations': [1, 1, 1, 1],
    },
    'resnetv2': {
        **ENCODERS['resnetv2'],
        'depths': [1, 1, 1],
        'out_indices': [0, 1, 2, 3],
    },
    'sam': _plain('sam'),
    'pgt': {
        **ENCODERS['pgt'],
        'arch': dict(embed_dims=8, **_STAGES, num_heads=[1, 1, 2, 2], group_nums=[9, 4, 1, 1]),
    },
    'ddrnet': {**ENCODERS['ddrnet'], 'out': 'pyramid'},
    'swin': {**ENCODERS['swin'], 'arch': dict(embed_dims=8, **_STAGES, num_heads=[1, 1, 2, 2])},
}


def with_joint(cfg, dims):
    """Returns the config with another width of the joint space, if the encoder can have such."""
    able = cfg['type'] in ('CLIPViT', 'CLIPResNet', 'TinyCLIP')
    return {**cfg, 'joint_dims': dims} if able else cfg


def with_norm(cfg):
    """Returns the config of a plain ViT behind its final norm, with the map of its last block."""
    sizes = cfg.get('arch', {}) | cfg.get('model_args', {})
    last = sizes.get('num_layers', sizes.get('depth')) - 1
    return {**cfg, 'final_norm': True, 'out_indices': [last]}


def image(height=32, width=48):
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(5))
