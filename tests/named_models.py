"""Models of timm that users ask for by name, each as an encoder config and a size of test images.

All weights are random. Sizes are those of the smallest published member, or are reduced by
`model_args`, so that every method can be tried on every model in minutes.
"""

from dataclasses import dataclass, field

_ONE_BLOCK = dict(depths=(1, 1, 2, 1))
_NARROW = dict(channels=(16, 32, 32, 64))
_WINDOWS = dict(embed_dim=32, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8))
_MIXED = dict(embed_dim=(32, 32, 64, 64), depths=(1, 1, 1, 1))
_HIERA = dict(embed_dim=32, stages=(1, 1, 2, 1))
_VIT = dict(embed_dim=64, depth=2, num_heads=4)


@dataclass(frozen=True)
class Named:
    """One model.

    Attributes:
        kind: ``convolutional``, ``hierarchical`` (with attention in stages) or ``plain``.
        args: Arguments of the timm model that make it small.
        sized: Whether the model is built for one size of images.
        side: Of square test images, in pixels.
        native: Side that timm's name, or default, says.
    """

    kind: str
    args: dict = field(default_factory=dict)
    sized: bool = False
    side: int = 64
    native: int = 224

    def config(self, name, side=None):
        """Returns the encoder's config for images of ``side`` pixels (default: test images')."""
        cfg = dict(type='TimmEncoder' if self.kind == 'plain' else 'TimmStages', model=name)
        if self.sized or self.kind == 'plain':
            cfg['img_size'] = side or self.side
        return {**cfg, 'model_args': self.args, 'init_seed': 0}


def _conv(native=224, **args):
    return Named('convolutional', args, native=native)


def _stages(native=224, *, sized=True, **args):
    return Named('hierarchical', args, sized=sized, native=native)


def _plain(native=224, side=64, **args):
    return Named('plain', {**_VIT, **args}, side=side, native=native)


NAMED = {
    'tf_efficientnet_lite0': _conv(),
    'tf_efficientnetv2_b0': _conv(192),
    'mobilenetv4_conv_small_035': _conv(),
    'mobilenetv3_small_050': _conv(),
    'resnet18': _conv(**_NARROW),
    'resnet14t': _conv(176, **_NARROW),
    'resnetv2_18': _conv(**_NARROW),
    'regnetx_002': _conv(),
    'regnety_002': _conv(),
    'convnext_atto': _conv(**_ONE_BLOCK),
    'convnextv2_atto': _conv(**_ONE_BLOCK),
    'inception_next_atto': _conv(**_ONE_BLOCK),
    'repvgg_a0': _conv(),
    'fastvit_t8': _conv(256),
    'hrnet_w18_small': _conv(),
    'vgg11': _conv(),
    'densenet121': _conv(),
    'ghostnet_050': _conv(),
    'swin_tiny_patch4_window7_224': _stages(**_WINDOWS),
    'swinv2_tiny_window8_256': _stages(256, **_WINDOWS),
    'pvt_v2_b0': _stages(sized=False),
    'maxvit_nano_rw_256': _stages(256, **_MIXED, stem_width=(16, 16)),
    'maxvit_tiny_tf_224': _stages(**_MIXED, stem_width=16),
    'coatnet_pico_rw_224': _stages(**_MIXED, stem_width=(16, 16)),
    'hiera_tiny_224': _stages(**_HIERA),
    'sam2_hiera_tiny': _stages(896, **_HIERA),
    'davit_tiny': _stages(
        sized=False, **_ONE_BLOCK, embed_dims=(32, 32, 64, 64), num_heads=(1, 1, 2, 2)
    ),
    'efficientvit_b0': _stages(sized=False),
    'vit_tiny_patch16_dinov3_qkvb': _plain(256),
    'vit_small_patch16_dinov3': _plain(256),
    'vit_small_plus_patch16_dinov3': _plain(256),
    'vit_small_patch14_reg4_dinov2': _plain(518, 56),
    'vit_base_patch16_siglip_512': _plain(512),
    'vit_pe_core_tiny_patch16_384': _plain(384),
    'vit_pe_spatial_tiny_patch16_512': _plain(512),
    'aimv2_large_patch14_224': _plain(224, 56),
    'vit_base_patch16_radio_v3': _plain(512),
    'eva02_tiny_patch14_224': _plain(224, 56),
    'beitv2_base_patch16_224': _plain(),
    'beit3_base_patch16_224': _plain(),
    'vit_base_patch16_224.mae': _plain(),
    'deit3_small_patch16_224': _plain(),
}
KINDS = ('convolutional', 'hierarchical', 'plain')


def of_kind(kind):
    """Returns the names of one kind, in the order of the table."""
    return [name for name, model in NAMED.items() if model.kind == kind]
