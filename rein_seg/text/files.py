"""Text towers in files of weights: OpenAI's, OpenCLIP's and transformers' layouts."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from rein_seg.checkpoint import load_strict
from rein_seg.checkpoint.strict import fitting
from rein_seg.errors import UserError
from rein_seg.text.tokens import CLIPTokenizer, Tokenizer, WordTokenizer
from rein_seg.text.tower import TextTower

WORDS = 'words'  # a tower's own word list, see `WordTokenizer.as_tensor`
_HEAD_WIDTH = 64
_TOKENS = 'token_embedding.weight'
_OWN = re.compile(
    r'(token_embedding\.weight|positional_embedding|transformer\.resblocks\.\d+\..+'
    r'|ln_final\.(weight|bias)|text_projection)'
)
_TRANSFORMERS = 'text_model.embeddings.'
_RULES = (
    (r'^text_model\.embeddings\.token_embedding\.', 'token_embedding.'),
    (r'^text_model\.embeddings\.position_embedding\.weight$', 'positional_embedding'),
    (r'^text_model\.final_layer_norm\.', 'ln_final.'),
    (r'^text_projection\.weight$', 'text_projection'),
    (r'^text_model\.encoder\.layers\.', 'transformer.resblocks.'),
    (r'\.layer_norm([12])\.', r'.ln_\1.'),
    (r'\.mlp\.fc1\.', '.mlp.c_fc.'),
    (r'\.mlp\.fc2\.', '.mlp.c_proj.'),
    (r'\.self_attn\.out_proj\.', '.attn.out_proj.'),
)
# signs of other files -> their description
_FOREIGN = (
    (r'(^|\.)text_model\.head\.|(^|\.)logit_bias$', "SigLIP's, with another text tower"),
    (r'word_embeddings?\.weight$', 'of a text tower of the BERT family'),
    (r'(^|\.)text\.cls_emb$', "CoCa's, whose text tower has a class token"),
)
_IMAGE = r'(^|\.)(visual|vision_model)\.|(^|\.)class_embedding$'


def read_tower(
    state: Mapping[str, Tensor], *, source: str, act: str = 'quick_gelu', heads: int | None = None
) -> tuple[TextTower, Tokenizer]:
    """Builds the text tower of a file, in float32, and its tokenizer.

    Sizes are read from the shapes of the tensors; a head has 64 channels, as in all of CLIP's
    towers, and a narrower tower has one head.

    Args:
        state: The tensors of the file, of both towers or of the text tower alone.
        source: Path of the file, for messages.
        act: As `TextTower`: no tensor tells it.
        heads: Number of attention heads, for other towers.

    Raises:
        UserError: If the file holds no such tower, or a part of it only.

    Example:
        >>> from rein_seg.text import TextTower
        >>> from rein_seg.text.files import read_tower
        >>> tower = TextTower(width=64, layers=1, heads=1, dims=16)
        >>> read, _ = read_tower(tower.state_dict(), source='clip.pt')
        >>> read.width, read.dims, read.context_length
        (64, 16, 77)
    """
    prefix = _prefix(state, source)
    with fitting(f'text tower from {source!r}'):
        tensors = _text_state(state, prefix)
        tower = _shaped(tensors, act, heads)
        tower.scale = _scale(state)
        tokenizer = _tokenizer(state, tower.vocabulary)
    load_strict(tower, tensors, what='text tower', source=source, file=dict(state))
    return tower, tokenizer


def _scale(state: Mapping[str, Tensor]) -> float | None:
    found = next((x for name, x in state.items() if name.endswith('logit_scale')), None)
    return None if found is None else float(found.float().exp())


def usual_heads(width: int) -> int:
    """Returns the number of attention heads of CLIP's towers of a width.

    Example:
        >>> from rein_seg.text.files import usual_heads
        >>> usual_heads(512), usual_heads(16)
        (8, 1)
    """
    return max(1, width // _HEAD_WIDTH)


class NoTextTower(UserError):
    """A file without a text tower."""


def _text_state(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Returns the tensors of the text tower under the names of `TextTower`, in float32."""
    below = {n.removeprefix(prefix): x for n, x in state.items() if n.startswith(prefix)}
    if f'{_TRANSFORMERS}{_TOKENS}' in below:
        below = _from_transformers(below)
    elif 'text_projection.weight' in below:  # a linear layer, in some of OpenCLIP's
        below['text_projection'] = below.pop('text_projection.weight').T
    if 'text_projection' not in below:
        raise UserError(
            'it is without its projection into the space of images (text_projection): expected '
            'both; give the file of the whole model'
        )
    return {n: x.float().contiguous() for n, x in below.items() if _OWN.fullmatch(n)}


def _prefix(state: Mapping[str, Tensor], source: str) -> str:
    """Returns the prefix of the text tower's names, such as ``module.`` or ``text.``."""
    found = [name for name in state if name == _TOKENS or name.endswith(f'.{_TOKENS}')]
    kinds = [kind for sign, kind in _FOREIGN if any(re.search(sign, name) for name in state)]
    if len(found) == 1 and not kinds:
        return found[0].removesuffix(_TOKENS).removesuffix(_TRANSFORMERS)
    if not kinds and any(re.search(_IMAGE, name) for name in state):
        kinds = ["CLIP's image tower alone"]
    kind = kinds[0] if kinds else f'another file (it has {min(state)!r})'
    raise NoTextTower(
        f'weights file {source!r} is {kind}: expected the text tower of a CLIP of '
        "OpenAI, OpenCLIP or transformers; set text.tower.checkpoint to CLIP's whole file "
        '(docs/reference/weights.md)'
    )


def _from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        for pattern, replacement in _RULES:
            name = re.sub(pattern, replacement, name)
        result[name] = tensor
    for name in [name for name in result if '.self_attn.q_proj.' in name]:
        parts = [result.pop(name.replace('.q_proj.', f'.{part}_proj.')) for part in 'qkv']
        joined = name.replace('.self_attn.q_proj.', '.attn.in_proj_')
        result[joined] = torch.cat(parts)
    if 'text_projection' in result:
        result['text_projection'] = result['text_projection'].T
    return result


def _shaped(tensors: Mapping[str, Tensor], act: str, heads: int | None) -> TextTower:
    """Returns a tower of the sizes of the tensors, without values."""
    vocabulary, width = tensors[_TOKENS].shape
    blocks = [re.match(r'transformer\.resblocks\.(\d+)\.', name) for name in tensors]
    with torch.device('meta'):
        tower = TextTower(
            width,
            layers=len({block[1] for block in blocks if block}),
            heads=usual_heads(width) if heads is None else heads,
            dims=tensors['text_projection'].shape[1],
            vocabulary=vocabulary,
            context_length=len(tensors['positional_embedding']),
            feedforward_channels=len(tensors['transformer.resblocks.0.mlp.c_fc.weight']),
            act=act,
        )
    return tower.to_empty(device='cpu')


def _tokenizer(state: Mapping[str, Tensor], vocabulary: int) -> Tokenizer:
    words = next((x for n, x in state.items() if f'.{n}'.endswith(f'.{WORDS}')), None)
    tokenizer = CLIPTokenizer() if words is None else WordTokenizer.from_tensor(words)
    if tokenizer.vocabulary != vocabulary:
        raise UserError(
            f'it has {vocabulary} token ids, expected '
            f'{tokenizer.vocabulary} as {type(tokenizer).__name__}; give the file of a '
            f'CLIP, or a file with a word list ({WORDS!r}) that fits'
        )
    return tokenizer
