"""Tiny modules of other libraries, with random weights, by the name in the table of `attach`."""

import functools

import torch

SIZES = dict(embed_dim=32, depth=3, num_heads=2, num_classes=3)
_CONFIG = dict(
    hidden_size=32,
    num_hidden_layers=3,
    num_attention_heads=2,
    intermediate_size=64,
    image_size=32,
    patch_size=8,
)


def timm_model(name, **options):
    import timm

    return timm.create_model(name, **options)


def _timm_vit(name, **options):
    return timm_model(name, **{**SIZES, **options}, img_size=32, patch_size=8)


def torchvision_resnet():
    from torchvision.models.resnet import Bottleneck, ResNet

    return ResNet(Bottleneck, [1, 1, 1, 1], width_per_group=8, num_classes=3)


def torchvision_vit():
    from torchvision.models import VisionTransformer

    return VisionTransformer(32, 8, 3, 2, 32, 64, num_classes=3)


def torchvision_swin():
    from torchvision.models import SwinTransformer

    return SwinTransformer([2, 2], 16, [2, 2], [2, 4], [3, 3], num_classes=3)


def torchvision_convnext():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    stages = [CNBlockConfig(8, 16, 1), CNBlockConfig(16, None, 2)]
    return ConvNeXt(stages, layer_scale=0.5, num_classes=3)


def transformers_model(kind, cls='Model', **options):
    import transformers

    part = 'Vision' if cls == 'VisionModel' else ''
    config = getattr(transformers, f'{kind}{part}Config')(**{**_CONFIG, **options})
    return getattr(transformers, f'{kind}{cls}')(config)


def mmpretrain_model(kind, **options):
    import mmpretrain.models

    return getattr(mmpretrain.models, kind)(**options)


_ARCH = dict(embed_dims=32, num_layers=3, num_heads=2, feedforward_channels=64)
_DIMS = dict(depths=(1, 1, 2, 1), dims=(8, 8, 16, 16), num_classes=3)
_WINDOWS = dict(
    embed_dim=16,
    depths=(2, 2),
    num_heads=(2, 4),
    img_size=32,
    patch_size=2,
    window_size=3,
    num_classes=3,
)
_NARROW = dict(channels=(8, 8, 16, 16), layers=(1, 1, 1, 1))
_part = functools.partial
FAST = ('timm ViT', 'torchvision ResNet', 'transformers DINOv2')  # of the fast tests
MODULES = {
    'timm ViT': _part(_timm_vit, 'vit_tiny_patch16_224'),
    'timm DINOv2 reg': _part(_timm_vit, 'vit_small_patch14_reg4_dinov2', init_values=0.5),
    'timm DINOv3': _part(_timm_vit, 'vit_small_patch16_dinov3_qkvb', init_values=0.5),
    'timm EVA02': _part(_timm_vit, 'eva02_tiny_patch14_224', num_classes=3),
    'timm ResNet': _part(timm_model, 'resnet18', **_NARROW, num_classes=3),
    'timm ResNet features': _part(
        timm_model, 'resnet18', **_NARROW, features_only=True, out_indices=(1, 2)
    ),
    'timm Swin': _part(timm_model, 'swin_tiny_patch4_window7_224', **_WINDOWS),
    'timm Swin features': _part(
        timm_model,
        'swin_tiny_patch4_window7_224',
        **_WINDOWS,
        features_only=True,
        out_indices=(0, 1),
    ),
    'timm ConvNeXt': _part(timm_model, 'convnext_tiny', **_DIMS, ls_init_value=0.5),
    'timm ConvNeXt features': _part(timm_model, 'convnext_tiny', **_DIMS, features_only=True),
    'torchvision ResNet': torchvision_resnet,
    'torchvision ViT': torchvision_vit,
    'torchvision ConvNeXt': torchvision_convnext,
    'torchvision Swin': torchvision_swin,
    'transformers DINOv2': _part(transformers_model, 'Dinov2'),
    'transformers DINOv2 reg': _part(transformers_model, 'Dinov2WithRegisters'),
    'transformers DINOv2 backbone': _part(transformers_model, 'Dinov2', 'Backbone'),
    'transformers DINOv3': _part(transformers_model, 'DINOv3ViT', num_register_tokens=2),
    'transformers ViT': _part(transformers_model, 'ViT'),
    'transformers DeiT': _part(transformers_model, 'DeiT'),
    'transformers CLIP': _part(transformers_model, 'CLIP', 'VisionModel'),
    'transformers SigLIP': _part(transformers_model, 'Siglip', 'VisionModel'),
    'mmpretrain ViT': _part(
        mmpretrain_model, 'VisionTransformer', arch=_ARCH, img_size=32, patch_size=8
    ),
    'mmpretrain Swin': _part(
        mmpretrain_model,
        'SwinTransformer',
        arch=dict(embed_dims=16, depths=[2, 2], num_heads=[2, 4]),
        img_size=32,
        patch_size=2,
        window_size=3,
        out_indices=(1,),
    ),
    'mmpretrain ConvNeXt': _part(
        mmpretrain_model, 'ConvNeXt', arch=dict(depths=[1, 2], channels=[8, 16]), out_indices=[1]
    ),
    'mmpretrain ResNet': _part(
        mmpretrain_model, 'ResNet', depth=18, stem_channels=8, base_channels=8
    ),
}


def build(name):
    """Returns a module whose values depend on its name only."""
    torch.manual_seed(0)
    module = MODULES[name]()
    module.eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # some libraries start heads, positions or scales at zero
        for param in module.parameters():
            param.add_(0.02 * torch.randn(param.shape, generator=generator))
    return module


def image(batch=2, side=32):
    return torch.randn(batch, 3, side, side, generator=torch.Generator().manual_seed(7))


def output(module, x):
    """Returns the result of a module's own forward pass as one tensor."""
    result = module(x)
    for name in ('last_hidden_state', 'feature_maps'):
        result = getattr(result, name, result)
    return result[-1] if isinstance(result, (list, tuple)) else result
