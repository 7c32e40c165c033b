"""Files of weights under the names and in the sizes of an encoder."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from rein_seg.checkpoint.strict import fitting
from rein_seg.encoders.transformers_layout import from_transformers
from rein_seg.encoders.weights import Converted
from rein_seg.registry import key_map


def convert_weights(encoder: nn.Module, state: dict[str, Tensor]) -> Converted:
    """Returns a state dict as downloaded under the names and in the sizes of ``encoder``.

    Classes without a key map take files under their own names only.

    Raises:
        UserError: If the file is recognised as another kind of encoder, or as a file of Hugging
            Face transformers that is not read, or its tensors have odd shapes or types.

    Example:
        >>> import torch
        >>> from rein_seg.encoders import build_encoder, convert_weights
        >>> encoder, _ = build_encoder(dict(type='TinyViT', init_seed=0))
        >>> file = {f'backbone.{k}': v for k, v in encoder.state_dict().items()}
        >>> converted = convert_weights(encoder, {**file, 'head.weight': torch.ones(1)})
        >>> converted.tensors.keys() == encoder.state_dict().keys(), str(converted)
        (True, 'left out head.weight')
    """
    convert = key_map(encoder)
    with fitting('the weights file', named=True):
        named, beside = from_transformers(encoder, state)
        done = convert(encoder, named) if convert else Converted(named)
    return replace(done, left_out=(*beside, *done.left_out)) if beside else done
