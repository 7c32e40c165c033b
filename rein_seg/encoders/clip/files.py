"""The encoder that a file of CLIP is made for, from the shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.clip.model import ARCHS as VITS
from rein_seg.encoders.clip.names import without_text
from rein_seg.encoders.clip.resnet import ARCHS as RESNETS
from rein_seg.encoders.clip.resnet import STRIDE
from rein_seg.encoders.clip.resnet_weights import ANCHOR, arch_of
from rein_seg.encoders.plain_vit.model import make_arch
from rein_seg.encoders.transformers_layout import from_transformers
from rein_seg.errors import UserError

_HEAD_WIDTH = 64  # of every tower that OpenAI published


def encoder_of_file(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Returns the config of the encoder of a whole CLIP file, as the original model computes.

    The activation leaves no trace in a file: the config is for OpenAI's; OpenCLIP's towers that
    were trained on LAION need ``act='gelu'``. The class embedding is added once, as by OpenAI.

    Args:
        state: Tensors of the file, in the layout of OpenAI, OpenCLIP or Hugging Face transformers;
            see `rein_seg.checkpoint.read_weights`.

    Raises:
        UserError: If the file holds no image tower of CLIP with a joint space, or a damaged tower.

    Example:
        >>> import torch
        >>> from rein_seg.encoders.clip import CLIPResNet, encoder_of_file
        >>> encoder = CLIPResNet(dict(width=8, depths=[1, 2, 1, 1]), joint_dims=16)
        >>> state = encoder.state_dict()
        >>> official = {f'visual.{k.replace("joint", "attnpool")}': v for k, v in state.items()}
        >>> encoder_of_file(official)
        {'type': 'CLIPResNet', 'arch': {'width': 8, 'depths': [1, 2, 1, 1]}, 'img_size': 224,
        'joint_dims': 16}
    """
    with fitting('the weights file', named=True):
        named, _ = from_transformers(nn.Identity(), state)
        vit, resnet = (without_text(named, anchor)[0] for anchor in ('class_embedding', ANCHOR))
        if 'class_embedding' in vit and 'proj' in vit:
            return _vit(vit)
        if ANCHOR in resnet and 'attnpool.c_proj.weight' in resnet:
            return _resnet(resnet)
    found = ', '.join(sorted(state)[:3]) or 'empty'
    raise UserError(
        f'the weights file ({found}) holds no image tower of CLIP with a joint space '
        "(class_embedding and proj, or attnpool): take a file such as OpenAI's ViT-B-16.pt"
    )


def _vit(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    width, _, patch, _ = tensors['conv1.weight'].shape
    found = (re.match(r'transformer\.resblocks\.(\d+)\.', name) for name in tensors)
    depth = 1 + max(int(match[1]) for match in found if match)
    arch = make_arch(width, depth, max(width // _HEAD_WIDTH, 1))
    arch['feedforward_channels'] = len(tensors['transformer.resblocks.0.mlp.c_fc.weight'])
    return dict(
        type='CLIPViT',
        arch=_name(arch, VITS),
        img_size=_side(tensors['positional_embedding']) * patch,
        patch_size=patch,
        joint_dims=tensors['proj'].shape[1],
        class_embedding_twice=False,
    )


def _resnet(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    arch = arch_of(tensors)
    if 0 in arch['depths']:
        stage = 1 + arch['depths'].index(0)
        raise UserError(
            f'the weights file is a ResNet of CLIP without layer{stage}: expected four stages; the '
            'file is damaged, so get it again'
        )
    return dict(
        type='CLIPResNet',
        arch=_name(arch, RESNETS),
        img_size=_side(tensors['attnpool.positional_embedding']) * STRIDE,
        joint_dims=len(tensors['attnpool.c_proj.weight']),
    )


def _side(positions: Tensor) -> int:
    return round((len(positions) - 1) ** 0.5)


def _name(arch: dict[str, Any], archs: Mapping[str, Mapping[str, Any]]) -> str | dict[str, Any]:
    return next((name for name, sizes in archs.items() if sizes == arch), arch)
