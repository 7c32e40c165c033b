"""Official checkpoints of zsseg: detectron2's state dict of the whole segmentor, as ``.pth``.

Such a file holds the trained ResNet, the proposal head, and the frozen CLIP with its prompts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from rein_seg.checkpoint import load_strict
from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.weights import rename
from rein_seg.errors import UserError
from rein_seg.heads.maskformer import MaskFormerHead
from rein_seg.models.whole_file import check_full, convert_encoder
from rein_seg.registry import register_whole_file

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor

_HEAD, _ENCODER = 'decode_head.', 'backbone.'
_PYRAMID = r'^sem_seg_head\.pixel_decoder\.'
_LEVELS = [
    rule
    for theirs, ours in (('adapter', 'adapters'), ('layer', 'layers'))
    for i in range(8)
    for rule in (
        (rf'{_PYRAMID}{theirs}_{i + 1}\.norm\.', f'{_HEAD}pixel_decoder.{ours}.{i}.gn.'),
        (rf'{_PYRAMID}{theirs}_{i + 1}\.', f'{_HEAD}pixel_decoder.{ours}.{i}.conv.'),
    )
]
_RULES = (
    *_LEVELS,
    (r'^sem_seg_head\.', _HEAD),
    (r'^clip_adapter\.non_object_embedding$', f'{_HEAD}non_object_embedding'),
)
# a stem of three convolutions stands in one list in ours: convolution, norm, ReLU
_DEEP_STEM = [
    rule
    for i in range(3)
    for rule in (
        (rf'^stem\.conv{i + 1}\.norm\.', f'stem.{3 * i + 1}.'),
        (rf'^stem\.conv{i + 1}\.', f'stem.{3 * i}.'),
    )
]
_STEM = [(r'^stem\.conv1\.norm\.', 'bn1.'), (r'^stem\.conv1\.', 'conv1.')]
_BLOCKS = [
    *((rf'^res{i + 1}\.', f'layer{i}.') for i in range(1, 5)),
    (r'\.conv(\d)\.norm\.', r'.bn\1.'),
    (r'\.shortcut\.norm\.', '.downsample.1.'),
    (r'\.shortcut\.', '.downsample.0.'),
]
# the frozen CLIP with its prompts, and constants
_UNUSED = ('clip_adapter.', 'region_clip_adapter.', 'criterion.', 'pixel_mean', 'pixel_std')


def is_zsseg(state: Mapping[str, Tensor]) -> bool:
    """Returns whether a state dict has the layout of zsseg's repository.

    Example:
        >>> import torch
        >>> from rein_seg.models.zsseg_file import is_zsseg
        >>> names = ('clip_adapter.non_object_embedding', 'sem_seg_head.predictor.query_embed')
        >>> is_zsseg({name: torch.ones(1) for name in names})
        True
    """
    predictor = any(name.startswith('sem_seg_head.predictor.') for name in state)
    return predictor and 'clip_adapter.non_object_embedding' in state


def resnet_from_detectron(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames detectron2's ResNet to torchvision's names, with a deep stem to OpenMMLab's.

    Example:
        >>> import torch
        >>> from rein_seg.models.zsseg_file import resnet_from_detectron
        >>> names = ('stem.conv1.weight', 'res2.0.shortcut.norm.bias', 'res5.1.conv3.norm.weight')
        >>> list(resnet_from_detectron({name: torch.ones(1) for name in names}))
        ['conv1.weight', 'layer1.0.downsample.1.bias', 'layer4.1.bn3.weight']
    """
    deep = any(name.startswith('stem.conv2.') for name in state)
    return rename(state, [*(_DEEP_STEM if deep else _STEM), *_BLOCKS])


@register_whole_file(is_zsseg)
def load_zsseg(state: Mapping[str, Tensor], model: PEFTSegmentor, *, source: str) -> str:
    """Loads the first stage of an official file into a segmentor; returns the coverage report.

    Left out, and named in the report: the frozen CLIP, which the config names, and its prompts.

    Args:
        state: Tensors by official name.
        model: A segmentor with method `Full`, a ResNet and `MaskFormerHead`.
        source: Name of the file.

    Raises:
        UserError: If method, encoder or head of the model are others, or sizes differ.
    """
    what = 'official zsseg checkpoint'
    text = f'{what} {source!r}'
    head = model.decode_head
    if not isinstance(head, MaskFormerHead) or not head.open_vocabulary:
        raise UserError(
            f'{text} holds a MaskFormer head that reads class names, the config has '
            f'{type(head).__name__}: take a config of zsseg, such as zsseg_r50_voc20_15_5'
        )
    check_full(model, text)
    with fitting(text, named=True):
        own = {n.removeprefix(_ENCODER): x for n, x in state.items() if n.startswith(_ENCODER)}
        encoder = convert_encoder(resnet_from_detectron(own), model, text)
        renamed = rename({n: x for n, x in state.items() if not n.startswith(_ENCODER)}, _RULES)
        left_out = [name for name in renamed if name.startswith(_UNUSED)]
        tensors = {
            **{f'backbone.encoder.{name}': x for name, x in encoder.tensors.items()},
            **{name: x for name, x in renamed.items() if name not in set(left_out)},
        }
    report = load_strict(model, tensors, what=what, source=source, file=state)
    for part in sorted({name.partition('.')[0] for name in left_out}):
        count = sum(name.partition('.')[0] == part for name in left_out)
        report += f'; left out: {part} ({count} tensors)'
    return report
