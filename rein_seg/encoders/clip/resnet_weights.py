"""Files of CLIP's ResNets: OpenAI's and OpenCLIP's, DenseCLIP's, and our own names.

C channels, D width of the space shared with text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rein_seg.encoders.clip.names import SYSTEM, without_text
from rein_seg.encoders.clip.resnet import ARCHS, CLIPResNet
from rein_seg.encoders.plain_vit.joint import check_joint
from rein_seg.encoders.resampling import resize_positions
from rein_seg.encoders.weights import Converted, leave_out, rename
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

ANCHOR = 'layer1.0.conv1.weight'
_POSITIONS = 'joint.positional_embedding'


@register_key_map(CLIPResNet)
def convert_clip_resnet(encoder: CLIPResNet, state: dict[str, Tensor]) -> Converted:
    """Converts a file of CLIP's ResNet, the image tower alone, or our own names.

    The text tower is left out, with other parts of DenseCLIP, and without ``joint_dims`` the
    attention pool. Positions of another grid are resized.

    Raises:
        UserError: If the file is of another network or size, or lacks an attention pool that the
            encoder needs.
    """
    tensors, text = without_text(state, ANCHOR)
    if ANCHOR not in tensors:
        _refuse_vit(tensors)
        return Converted(dict(state))
    own_names = _POSITIONS in tensors
    tensors = rename(tensors, ((r'^attnpool\.', 'joint.'),))
    tensors, unused = leave_out(tensors, SYSTEM if encoder.joint else rf'joint\.|{SYSTEM}')
    _check_size(encoder, tensors)
    for name, buffer in encoder.named_buffers():  # TorchScript archives need not hold the counters
        if name.endswith('num_batches_tracked'):
            tensors.setdefault(name, buffer)
    resampled = ()
    if encoder.joint is not None:
        check_joint(encoder, tensors, 'joint.c_proj.weight')
        resampled = _fit_positions(encoder, tensors, own_names)
    return Converted(tensors, left_out=(*text, *unused), resampled=resampled)


def _fit_positions(
    encoder: CLIPResNet, tensors: dict[str, Tensor], own_names: bool
) -> tuple[str, ...]:
    """Resizes the pool's positions to the encoder's grid, in place; returns the report."""
    assert encoder.joint is not None
    table, grid = tensors[_POSITIONS][None], encoder.joint.grid
    fitted = resize_positions(table, grid, mode='bilinear', same_grid=own_names)
    if fitted is table:
        return ()
    tensors[_POSITIONS] = fitted[0]
    side = round((table.shape[1] - 1) ** 0.5)
    return (f'{_POSITIONS} {side}x{side} -> {grid[0]}x{grid[1]}',)


def arch_of(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Returns width and blocks of each stage of a ResNet's tensors.

    Example:
        >>> from rein_seg.encoders.clip import CLIPResNet
        >>> from rein_seg.encoders.clip.resnet_weights import arch_of
        >>> arch_of(CLIPResNet(dict(width=8, depths=[1, 2, 1, 1])).state_dict())
        {'width': 8, 'depths': [1, 2, 1, 1]}
    """
    found = (re.match(r'layer(\d)\.(\d+)\.conv1\.weight$', name) for name in tensors)
    blocks = [(int(match[1]), int(match[2])) for match in found if match]
    depths = [1 + max((b for s, b in blocks if s == stage), default=-1) for stage in range(1, 5)]
    return dict(width=len(tensors[ANCHOR]), depths=depths)


def _check_size(encoder: CLIPResNet, tensors: Mapping[str, Tensor]) -> None:
    if 'conv3.weight' not in tensors:
        raise UserError(
            "the weights file has no conv3 in the stem, so it is an ordinary ResNet's, not CLIP's: "
            "use type='mmseg.ResNet', or take a file such as OpenAI's RN50.pt"
        )
    found, own = arch_of(tensors), dict(width=encoder.width, depths=list(encoder.depths))
    if found != own:
        raise UserError(
            f'the weights file is {_title(found)}, the encoder is {_title(own)}: set encoder.arch '
            'to the file, or encoder.checkpoint to a file of this size'
        )


def _title(arch: Mapping[str, Any]) -> str:
    name = next((name for name, sizes in ARCHS.items() if sizes == arch), None)
    sizes = f'width {arch["width"]}, depths {arch["depths"]}'
    return f'a CLIP ResNet {name!r} ({sizes})' if name else f'a CLIP ResNet of {sizes}'


def _refuse_vit(tensors: Mapping[str, Tensor]) -> None:
    if {'class_embedding', 'visual.class_embedding', 'cls_token'} & tensors.keys():
        raise UserError(
            'the weights file is a vision transformer, the encoder a CLIPResNet: use '
            "type='CLIPViT', or take a file such as OpenAI's RN50.pt"
        )
