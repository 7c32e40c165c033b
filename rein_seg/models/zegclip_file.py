"""Official checkpoints of ZegCLIP: prompts, head and the frozen tower in one file.

n prompts, D width of the tower, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from rein_seg.checkpoint import load_strict
from rein_seg.checkpoint.official import check_encoder
from rein_seg.checkpoint.strict import fitting
from rein_seg.errors import UserError
from rein_seg.heads.atm import ATMHead
from rein_seg.heads.atm.weights import convert_atm
from rein_seg.peft.methods.vpt import VPT, from_official
from rein_seg.registry import register_whole_file

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor

_PROMPTS = ('prompt_embeddings', 'deep_prompt_embeddings', 'prompt_proj.', 'prompt_norm.')
_PARTS = ('backbone', 'text_encoder', 'decode_head')


def is_zegclip(state: Mapping[str, Tensor]) -> bool:
    """Returns whether a state dict has the layout of ZegCLIP's repository.

    Example:
        >>> import torch
        >>> from rein_seg.models.zegclip_file import is_zegclip
        >>> names = ['backbone.prompt_proj.bias', 'decode_head.q_proj.bias']
        >>> is_zegclip({name: torch.zeros(1) for name in names})
        True
    """
    prompts = tuple(f'backbone.{name}' for name in _PROMPTS)
    return 'decode_head.q_proj.bias' in state and any(n.startswith(prompts) for n in state)


@register_whole_file(is_zegclip)
def load_zegclip(state: Mapping[str, Tensor], model: PEFTSegmentor, *, source: str) -> str:
    """Loads an official file into a segmentor; returns the coverage report.

    The tower in the file must be the model's encoder: give the same file as its checkpoint. The
    text tower, and parts of the head that do not train, are left out.

    Args:
        state: Tensors by official name.
        model: A segmentor with method `VPT` and head `ATMHead`.
        source: Name of the file.

    Raises:
        UserError: If method, head or encoder of the model are others, or sizes differ.
    """
    text = f'official ZegCLIP checkpoint {source!r}'
    method, head = model.backbone.peft, model.decode_head
    if not isinstance(method, VPT) or not isinstance(head, ATMHead):
        raise UserError(
            f'{text} holds deep prompts and an ATM head, the config has '
            f'{type(method).__name__} and {type(head).__name__}: take a config of ZegCLIP, such '
            'as zegclip_clip_base_voc'
        )
    with fitting(text, named=True):
        parts = {part: _below(state, part) for part in _PARTS}
        prompts = {k: v for k, v in parts['backbone'].items() if k.startswith(_PROMPTS)}
        tower = {k: v for k, v in parts['backbone'].items() if k not in prompts}
        _check_prompts(prompts, method, text)
        converted = convert_atm(head, parts['decode_head'])
        compared = check_encoder(tower, model, text)
        tensors = {
            **{f'backbone.peft.{k}': v for k, v in from_official(prompts).items()},
            **{f'decode_head.{k}': v for k, v in converted.tensors.items()},
            **{k: v for k, v in state.items() if k.partition('.')[0] not in _PARTS},
        }
    report = load_strict(
        model, tensors, what='official ZegCLIP checkpoint', source=source, file=state
    )
    left_out = [f'decode_head.{name}' for name in converted.left_out]
    if parts['text_encoder']:
        left_out.append(f'text_encoder ({len(parts["text_encoder"])} tensors)')
    if left_out:
        report += f'; left out, not used by this config: {", ".join(left_out)}'
    return f'{report}; its {compared} encoder tensors equal the loaded ones'


def _below(state: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = f'{part}.'
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def _check_prompts(prompts: Mapping[str, Tensor], method: VPT, text: str) -> None:
    """Compares the prompts with the method's, in words."""
    theirs, ours = from_official(prompts), method.state_dict()
    width = theirs['prompts.0'].shape[2]
    for name, what, value in (
        ('projections.0.weight', 'linear behind the prompts', f'project_dims={width}'),
        ('norm.weight', 'norm in front of the joint space', 'post_norm=True'),
    ):
        if name in theirs and name not in ours:
            raise UserError(
                f'{text} has a {what}, the config has none: set model.backbone.peft.{value}'
            )
    (blocks, tokens), (own_blocks, own_tokens) = (
        tuple(x['prompts.0'].shape[:2]) for x in (theirs, ours)
    )
    if tokens != own_tokens:
        raise UserError(
            f'{text} has num_tokens={tokens}, the config gives {own_tokens}: set '
            f'model.backbone.peft.num_tokens={tokens} (the files for VOC have 10, for COCO-Stuff '
            '100)'
        )
    if blocks != own_blocks:
        raise UserError(
            f'{text} has prompts in {blocks} blocks, the config in {own_blocks}: set '
            'model.backbone.peft.form and blocks as they were trained'
        )
