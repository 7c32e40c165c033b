"""Official checkpoints of DenseCLIP: the state dict of mmsegmentation 0.x of the whole segmentor.

Such a file holds the trained image encoder, the frozen text tower, contexts, context decoder, FPN
and head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from rein_seg.checkpoint import load_strict
from rein_seg.checkpoint.official import differing
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.weights import rename
from rein_seg.errors import UserError
from rein_seg.models.whole_file import check_full, convert_encoder
from rein_seg.necks import PixelTextNeck
from rein_seg.registry import register_whole_file
from rein_seg.text import SharedContext

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor

_ENCODER, _TEXT, _PYRAMID = 'backbone.', 'text_encoder.', 'neck.pyramid.'
_RULES = (
    (r'^neck\.', 'neck.fpn.'),
    # the pyramid of a ViT is a part of its backbone there; its third level is a norm alone
    *((rf'^backbone\.fpn{i + 1}\.', f'{_PYRAMID}levels.{i}.{"0." * (i == 2)}') for i in range(4)),
    (r'^(context_decoder\.|gamma$)', r'neck.\1'),
    (r'^contexts$', 'text.contexts'),
)
_UNUSED = ('identity_head.', 'auxiliary_head.')
_CLASSES = 'decode_head.conv_seg.weight'
_RTOL, _ATOL = 1e-3, 1e-5  # either may have been stored in half precision


def is_dense_clip(state: Mapping[str, Tensor]) -> bool:
    """Returns whether a state dict has the layout of DenseCLIP's repository.

    Example:
        >>> import torch
        >>> from rein_seg.models.dense_clip_file import is_dense_clip
        >>> is_dense_clip({'contexts': torch.ones(1, 8, 512), 'gamma': torch.ones(512)})
        True
    """
    return 'contexts' in state and 'gamma' in state


def from_dense_clip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames all but the two towers to our names.

    Example:
        >>> import torch
        >>> from rein_seg.models.dense_clip_file import from_dense_clip
        >>> names = ('gamma', 'backbone.fpn4.0.bias', 'neck.fpn_convs.0.conv.bias')
        >>> list(from_dense_clip({name: torch.ones(2) for name in names}))
        ['neck.gamma', 'neck.pyramid.levels.3.0.bias', 'neck.fpn.fpn_convs.0.conv.bias']
    """
    return rename(state, _RULES)


@register_whole_file(is_dense_clip)
def load_dense_clip(state: Mapping[str, Tensor], model: PEFTSegmentor, *, source: str) -> str:
    """Loads an official file into a segmentor; returns the coverage report.

    Every tensor is loaded but the text tower, which is frozen there, too: it must be the model's.

    Args:
        state: Tensors by official name.
        model: A segmentor with method `Full`, text branch `SharedContext` and `PixelTextNeck`.
        source: Name of the file.

    Raises:
        UserError: If method, encoder, text branch or neck of the model are others, sizes differ, or
            the text tower is another.
    """
    what = 'official DenseCLIP checkpoint'
    text, renamed = f'{what} {source!r}', from_dense_clip(state)
    with fitting(text, named=True):
        _check_parts(renamed, model, text)
        left_out = [name for name in renamed if name.startswith(_UNUSED)]
        compared = _check_tower(renamed, model, text)
        own = {n.removeprefix(_ENCODER): x for n, x in renamed.items() if n.startswith(_ENCODER)}
        encoder = convert_encoder(own, model, text)
        tensors = {
            **{f'backbone.encoder.{name}': tensor for name, tensor in encoder.tensors.items()},
            **{k: v for k, v in renamed.items() if not k.startswith((_ENCODER, _TEXT, *_UNUSED))},
        }
    report = load_strict(model, tensors, what=what, source=source, file=state)
    left_out += encoder.left_out
    if left_out:
        report += f'; left out, not used by this config: {", ".join(left_out)}'
    return f'{report}; its {compared} tensors of the text tower equal the loaded ones'


def _check_parts(have: Mapping[str, Tensor], model: PEFTSegmentor, source: str) -> None:
    neck = getattr(model, 'neck', None)
    if not isinstance(neck, PixelTextNeck) or not isinstance(model.text, SharedContext):
        raise UserError(
            f'{source} needs a model with SharedContext and PixelTextNeck, the config has '
            f'{type(model.text).__name__} and {type(neck).__name__}: take the config that it was '
            'trained with, such as full_dense_clip_vit_base_ade20k'
        )
    check_full(model, source)
    theirs, ours = (any(n.startswith(_PYRAMID) for n in x) for x in (have, model.state_dict()))
    if theirs != ours:
        kind, config = ('ViT', 'vit_base') if theirs else ('ResNet', 'resnet50')
        raise UserError(
            f'{source} holds the model of a {kind}, the config has another kind of encoder: '
            f'expected the same; take full_dense_clip_{config}_ade20k, or a config like it'
        )
    if _CLASSES in have and len(have[_CLASSES]) != model.num_classes:
        raise UserError(
            f'{source} was made for {len(have[_CLASSES])} classes, the config has '
            f'num_classes={model.num_classes}: take a benchmark with the classes it was trained on'
        )


def _check_tower(have: Mapping[str, Tensor], model: PEFTSegmentor, source: str) -> int:
    """Compares the text tower in the file with the model's; returns the number of its tensors."""
    assert isinstance(model.text, SharedContext)
    theirs = {n.removeprefix(_TEXT): x for n, x in have.items() if n.startswith(_TEXT)}
    ours = model.text.tower.state_dict()
    if 'positional_embedding' in theirs:  # officially the first of them, as many as it reads
        ours['positional_embedding'] = ours['positional_embedding'][
            : len(theirs['positional_embedding'])
        ]
    other = differing(ours, theirs, rtol=_RTOL, atol=_ATOL)
    if other:
        more = f' and {len(other) - 3} more' if len(other) > 3 else ''
        raise UserError(
            f"{source}: the text tower in the file is not the config's ({model.text.source[:18]}), "
            f'which differs in {", ".join(other[:3])}{more}: give the CLIP that it was trained '
            'with, or the checkpoint itself, in model.text.tower.checkpoint'
        )
    return len(theirs)
