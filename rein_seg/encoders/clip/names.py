"""The parts of CLIP's files beside the image tower."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from rein_seg.encoders.weights import leave_out, rename, strip_prefix

# parts of the text tower, which OpenAI's files hold without a common prefix
TEXT = (
    r'(text|token_embedding|transformer|ln_final)\.|(positional_embedding|text_projection'
    r'|logit_scale|logit_bias|input_resolution|context_length|vocab_size)$'
)
# parts of DenseCLIP and ZegCLIP beside the image tower
SYSTEM = (
    r'(text_encoder|context_decoder|neck|decode_head|auxiliary_head|identity_head|fpn\d'
    r'|prompt_(proj|norm))\.|(contexts|gamma|(deep_)?prompt_embeddings)$'
)


def without_text(
    state: Mapping[str, Tensor], anchor: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Returns the image tower of a file, without prefixes, and the names of the text tower.

    Args:
        state: The file: image and text tower, the image tower as ``visual.``, or a model with
            ``backbone.``.
        anchor: Name of a tensor of the image tower.

    Returns:
        The tensors, and the names of the text tower.

    Example:
        >>> from rein_seg.encoders.clip.names import without_text
        >>> without_text({'module.visual.proj': 1, 'module.ln_final.bias': 2}, 'proj')
        ({'proj': 1}, ('ln_final.bias',))
    """
    tensors, text = strip_prefix(state, f'visual.{anchor}'), ()
    if any(name.startswith('visual.') for name in tensors):
        tensors, text = leave_out(tensors, TEXT)
        tensors = rename(tensors, [(r'^visual\.', '')])
    return strip_prefix(tensors, anchor), text
