"""Files of PGT into `PGT`: the names are the same, below a prefix and beside neck and heads."""

from __future__ import annotations

import re

from torch import Tensor

from rein_seg.encoders.pgt.archs import ARCHS
from rein_seg.encoders.pgt.model import PGT
from rein_seg.encoders.weights import (
    HEADS,
    Converted,
    blocks_of_stages,
    check_variant,
    leave_out,
    strip_prefix,
)
from rein_seg.registry import register_key_map

_ANCHOR = 'stages.0.transform.proj.weight'
_OTHERS = '|'.join(re.escape(name) for name in HEADS)
_SIZES = {
    (arch['embed_dims'], tuple(arch['depths'])): f'PGT {name}' for name, arch in ARCHS.items()
}


@register_key_map(PGT)
def convert_pgt(encoder: PGT, state: dict[str, Tensor]) -> Converted:
    """Converts a file with the names of the pull request to mmsegmentation.

    The encoder can stand below any prefix (``backbone.``). Neck and heads are left out, and norms
    of outputs that this encoder does not have.

    Raises:
        UserError: If the file is of another size.
    """
    tensors, left_out = leave_out(strip_prefix(state, _ANCHOR), _OTHERS)
    if _ANCHOR not in tensors:
        return Converted(state)  # not a file of PGT: strict loading lists the names
    size = tensors[_ANCHOR].shape[0], blocks_of_stages(tensors)
    check_variant('PGT', _SIZES, size, (encoder.widths[0], encoder.depths))
    own = encoder.state_dict()
    unused = tuple(n for n in tensors if re.match(r'norm\d\.', n) and n not in own)
    kept = {name: tensor for name, tensor in tensors.items() if name not in unused}
    return Converted(kept, (*left_out, *unused))
