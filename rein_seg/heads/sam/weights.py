"""Loads official files of SAM into the mask decoder, in the layout of Meta or Hugging Face.

Q mask tokens, C channels.
"""

from __future__ import annotations

import re

from torch import Tensor

from rein_seg.encoders.weights import Converted, leave_out, rename, strip_prefix
from rein_seg.errors import UserError
from rein_seg.heads.sam.decoder import MaskDecoder

TOKENS = 'mask_tokens.weight'
NETWORKS = 'output_hypernetworks_mlps'
CLASSIFIER = 'output_classifier_mlps'
_MLP = rf'^mask_decoder\.({NETWORKS}\.\d+|iou_prediction_head)\.'
_HUGGING_FACE = (
    (_MLP + r'layers\.(0)\.', r'mask_decoder.\1.layers.1.'),
    (_MLP + r'proj_in\.', r'mask_decoder.\1.layers.0.'),
    (_MLP + r'proj_out\.', r'mask_decoder.\1.layers.2.'),
    (r'^mask_decoder\.upscale_conv1\.', 'mask_decoder.output_upscaling.0.'),
    (r'^mask_decoder\.upscale_layer_norm\.', 'mask_decoder.output_upscaling.1.'),
    (r'^mask_decoder\.upscale_conv2\.', 'mask_decoder.output_upscaling.3.'),
    (r'^(mask_decoder\.transformer\..*)layer_norm([1-4])\.', r'\1norm\2.'),
    (r'^(mask_decoder\.transformer\.)layer_norm_final_attn\.', r'\1norm_final_attn.'),
)
_OURS = (
    (r'^mask_decoder\.', ''),
    (r'^prompt_encoder\.no_mask_embed\.weight$', 'no_mask_embed'),
    (
        r'^prompt_encoder\.pe_layer\.positional_encoding_gaussian_matrix$'
        r'|^shared_image_embedding\.positional_embedding$',
        'positional_encoding',
    ),
)
# the encoder, and the prompts: points, boxes and masks
_OTHER_PARTS = r'prompt_encoder\.|image_encoder\.|vision_encoder\.'
# Hugging Face keeps one matrix under two names; its safetensors files hold the second alone
_TIED = ('prompt_encoder.shared_embedding.', 'shared_image_embedding.')


def convert_decoder(decoder: MaskDecoder, state: dict[str, Tensor]) -> Converted:
    """Converts a file of SAM, as Meta or Hugging Face publish it, for ``decoder``.

    With a shared hyper-network, every token starts as SAM's first mask token, with the network of
    that token. A file with a single network belongs to a promptless model: its tokens are loaded
    unchanged. A class branch that is not in the file keeps its random weights.

    Args:
        decoder: The decoder to load into.
        state: Tensors of the file.

    Raises:
        UserError: If the file holds no mask decoder.
    """
    tensors = strip_prefix(state, 'mask_decoder.iou_token.weight')
    if 'mask_decoder.iou_token.weight' not in tensors:
        raise UserError(
            f'the weights file holds no mask decoder of SAM: of its {len(tensors)} tensors none '
            'is called mask_decoder.iou_token.weight; give the whole file of SAM '
            '(sam_vit_*.pth), or start at random with decode_head.checkpoint=None'
        )
    first, second = (f'{place}positional_embedding' for place in _TIED)
    if first in tensors:
        tensors.setdefault(second, tensors[first])
    if any('.proj_in.' in name for name in tensors):
        tensors = rename(tensors, _HUGGING_FACE)
    tensors, left_out = leave_out(rename(tensors, _OURS), _OTHER_PARTS)
    networks = _count_networks(tensors)
    wanted = len(decoder.output_hypernetworks_mlps)
    if 1 < wanted != networks:
        raise UserError(
            f'the weights file has {networks} hyper-networks, the head {wanted} (one for each mask '
            f'token): set num_tokens={networks}, or decoder.shared_hypernetwork=True'
        )
    if networks > wanted:
        tensors, others = leave_out(tensors, rf'{NETWORKS}\.(?!0\.)')
        left_out += others
        tensors[TOKENS] = tensors[TOKENS][:1].repeat(decoder.mask_tokens.num_embeddings, 1)
    new = {k: v for k, v in decoder.state_dict().items() if CLASSIFIER in k and k not in tensors}
    return Converted({**tensors, **new}, left_out, filled=tuple(new))


def _count_networks(tensors: dict[str, Tensor]) -> int:
    found = (re.match(rf'{NETWORKS}\.(\d+)\.', name) for name in tensors)
    return len({match[1] for match in found if match})
