"""Anatomy of CLIP's ResNet: a ResNet's, and the linears of the attention pool."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from rein_seg.encoders.checks import check_smallest_side
from rein_seg.encoders.clip.resnet import CLIPResNet
from rein_seg.encoders.resnet import stages_anatomy
from rein_seg.encoders.sites import op_site
from rein_seg.registry import register_anatomy
from rein_seg.structures import Anatomy, JointSite, Site, Tap

_STEM = ('conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3')
_LAYERS = ('layer1', 'layer2', 'layer3', 'layer4')


@register_anatomy(CLIPResNet)
def clip_resnet_anatomy(encoder: CLIPResNet) -> Anatomy:
    """Returns the anatomy of CLIP's ResNet.

    BRANCH conv is the 3x3 convolution of a block, with its norm and ReLU, in front of the pool. The
    roles joint_q, joint_k, joint_v and joint_proj are the linears of the attention pool, whose
    tokens are the mean of the last map, then its places; methods take them when they are named.
    """
    layers = _LAYERS[: encoder.num_run]
    unused = tuple(f'{layer}.' for layer in _LAYERS[len(layers) :])
    anatomy = stages_anatomy(encoder, layers, encoder.out_indices, stem=_STEM, unused=unused)
    check = partial(check_smallest_side, 'CLIPResNet', least=anatomy.smallest_side)
    anatomy = replace(anatomy, check_size=check)
    if encoder.joint is None:
        return anatomy
    channels = anatomy.stage_channels[-1]
    place = (-1, len(layers) - 1, -1, channels)
    sites: list[Site] = [JointSite(*place, Tap(encoder.joint, 'input', 'NCHW'))]
    for name, role in (('q', 'q'), ('k', 'k'), ('v', 'v'), ('c', 'proj')):
        sites.append(op_site(encoder, f'joint.{name}_proj', f'joint_{role}', place))
    return replace(
        anatomy,
        sites=(*anatomy.sites, *sites),
        num_prefix=1,  # the mean, in the tokens of the attention pool alone
        grid_module=encoder.layer4,
        joint_dims=encoder.joint.dims,
    )
