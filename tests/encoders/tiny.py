"""One tiny encoder of each family, by name: a new family is one row."""

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
    'clip_tower': dict(
        type='CLIPViT',
        arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
        img_size=32,
        patch_size=8,
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
}
