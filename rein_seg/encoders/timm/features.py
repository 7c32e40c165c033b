"""Networks of stages as timm gives them with ``features_only=True``."""

from __future__ import annotations

from torch import nn

from rein_seg.encoders.convnext import timm_features_anatomy as convnext_features
from rein_seg.encoders.resnet import resnet_model_anatomy
from rein_seg.encoders.swin.windows import timm_features_anatomy as swin_features
from rein_seg.errors import UserError
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy

_BLOCKS = {'ConvNeXtBlock': convnext_features, 'SwinTransformerBlock': swin_features}


@register_anatomy('timm.FeatureListNet')
def feature_list_anatomy(encoder: nn.Module) -> Anatomy:
    """Returns the anatomy of a ResNet, ConvNeXt or Swin that timm took apart into its stages.

    Raises:
        UserError: If it is another network.

    Example:
        >>> import timm
        >>> from rein_seg.encoders import find_anatomy
        >>> find_anatomy(timm.create_model('convnext_atto', features_only=True)).stage_depths
        (2, 2, 6, 2)
    """
    if 'layer1' in encoder._modules:
        return resnet_model_anatomy(encoder)
    kinds = {type(module).__name__ for module in encoder.modules()}
    known = [function for kind, function in _BLOCKS.items() if kind in kinds]
    if len(known) != 1:
        raise UserError(
            f'FeatureListNet of {sorted(encoder._modules)[:4]}: expected a ResNet, ConvNeXt or '
            'Swin; register an anatomy (docs/tutorials/your-encoder.md)'
        )
    return known[0](encoder)
