"""Files of HLG's weights into `HLGTransformer`, which has the same names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from rein_seg.encoders.hlg.model import ARCHS, HLGTransformer
from rein_seg.encoders.weights import HEADS, Converted, leave_out, strip_prefix
from rein_seg.errors import UserError
from rein_seg.registry import register_key_map

_ANCHOR = 's0_conv.0.0.weight'
_OTHERS = '|'.join(re.escape(name) for name in (*HEADS, 'classifier.'))
Sizes = tuple[tuple[int, ...], tuple[int, ...]]  # widths and depths of the stages


@register_key_map(HLGTransformer)
def convert_hlg(encoder: HLGTransformer, state: dict[str, Tensor]) -> Converted:
    """Converts a file of HLG as its authors name the tensors, below any prefix (``backbone.``).

    Classifiers and decode heads are left out. Written from the names of the code: no file of the
    authors was opened.

    Raises:
        UserError: If the file is of another size or another encoder.
    """
    tensors, left_out = leave_out(strip_prefix(state, _ANCHOR), _OTHERS)
    if _ANCHOR not in tensors:
        raise UserError(
            f'the weights file has no {_ANCHOR} (it has {", ".join(sorted(state)[:3])}, ...): '
            'expected a file of HLG; give the file of this encoder, or another encoder.type'
        )
    found, own = _sizes_of(tensors), (encoder.embed_dims, encoder.depths)
    if found != own:
        raise UserError(
            f'the weights file is {_name(found)}, the encoder {_name(own)}: set encoder.arch to '
            'the file, or encoder.checkpoint to a file of this size'
        )
    for name, buffer in encoder.named_buffers():  # old files lack the counter; nothing uses it
        if name.endswith('num_batches_tracked'):
            tensors.setdefault(name, buffer)
    return Converted(tensors, left_out)


def _sizes_of(tensors: Mapping[str, Tensor]) -> Sizes:
    found = (re.fullmatch(r'block(\d+)\.(\d+)\.norm2\.weight', name) for name in tensors)
    blocks = {(int(match[1]), int(match[2])): tensors[match[0]] for match in found if match}
    stages = range(1, 1 + max((stage for stage, _ in blocks), default=0))
    widths = [len(blocks[stage, 0]) if (stage, 0) in blocks else 0 for stage in stages]
    return tuple(widths), tuple(sum(s == stage for s, _ in blocks) for stage in stages)


def _name(sizes: Sizes) -> str:
    names = {
        (tuple(arch['embed_dims']), tuple(arch['depths'])): f'HLG-{name.capitalize()}'
        for name, arch in ARCHS.items()
    }
    widths, depths = (_listed(numbers) for numbers in sizes)
    return f'{names.get(sizes, "an HLG of no usual size")} (widths {widths}, depths {depths})'


def _listed(numbers: Sequence[int]) -> str:
    return ' '.join(map(str, numbers))
