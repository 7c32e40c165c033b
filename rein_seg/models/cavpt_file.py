"""Official checkpoints of dual-modality prompt tuning: a file for text, two for visual prompts.

K classes, V vectors, T tokens, C width of the text tower.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from rein_seg.checkpoint import load_strict, read_state_dict, save_checkpoint
from rein_seg.checkpoint.strict import fitting
from rein_seg.errors import UserError
from rein_seg.peft.methods.cavpt import CAVPT, from_official
from rein_seg.registry import register_whole_file
from rein_seg.text import CoOp

if TYPE_CHECKING:
    from rein_seg.models.base import PEFTModel

_TEXT, _VISUAL = 'prompt_learner', 'image_encoder.transformer.'
PARTS = (_TEXT, f'{_VISUAL}ctx_learner', f'{_VISUAL}extractor')
# parts of a state dict of the whole official model that are frozen
_FROZEN = (
    'text_encoder.', 'image_encoder.', 'zeroshot_clip_image_encoder.', 'token_embedding.',
    'logit_scale', 'text_features',
)  # fmt: skip
_CLASSIFIERS = 'extractor.classfiers.'


def is_cavpt(state: Mapping[str, Tensor]) -> bool:
    """Returns whether a state dict has the layout of the official model, or of `join_files`.

    Example:
        >>> import torch
        >>> from rein_seg.models.cavpt_file import is_cavpt
        >>> names = ['prompt_learner.ctx', 'image_encoder.transformer.extractor.ctx']
        >>> is_cavpt({name: torch.zeros(1) for name in names})
        True
    """
    return f'{_TEXT}.ctx' in state and f'{_VISUAL}extractor.ctx' in state


def join_files(folder: str | os.PathLike, path: str | os.PathLike) -> Path:
    """Joins the files of an official training to a single file, which loads as a checkpoint.

    Of each part the last epoch is taken.

    Args:
        folder: Of the training, with a folder for each part.
        path: To write, in ``.pth``.

    Raises:
        UserError: If the files of a part are missing, or cannot be read.

    Example:
        >>> import torch
        >>> from pathlib import Path
        >>> from rein_seg.models.cavpt_file import PARTS, join_files
        >>> for part in PARTS:
        ...     Path('run', part).mkdir(parents=True)
        ...     state = dict(ctx=torch.zeros(2, 8))
        ...     torch.save(dict(state_dict=state, epoch=60), f'run/{part}/model.pth.tar-60')
        >>> join_files('run', 'cavpt.pth').name
        'cavpt.pth'
    """
    joined: dict[str, Tensor] = {}
    for part in PARTS:
        state = read_state_dict(_last(Path(folder), part))
        joined |= {f'{part}.{name}': tensor for name, tensor in state.items()}
    save_checkpoint(path, {'state_dict': joined})
    return Path(path)


def _last(folder: Path, part: str) -> Path:
    found = {}
    for file in (folder / part).glob('model*.pth.tar*'):
        epoch = re.search(r'-(\d+)$', file.name)
        found[int(epoch[1]) if epoch else -1] = file
    if not found:
        raise UserError(
            f'official training {str(folder)!r} has no file of {part!r}: expected '
            f'{part}/model.pth.tar-60; give the folder that holds {", ".join(PARTS)}'
        )
    return found[max(found)]


@register_whole_file(is_cavpt)
def load_cavpt(state: Mapping[str, Tensor], model: PEFTModel, *, source: str) -> str:
    """Loads official prompts into a model; returns the coverage report.

    The embeddings of start token, names and end in the file tell the CLIP and the classes that it
    was trained with. The auxiliary classifiers, which serve training alone and which the official
    loader drops, are loaded for the same classes, else left out.

    Args:
        state: Tensors by official name.
        model: A model with method `CAVPT` and text `CoOp`.
        source: Name of the file.

    Raises:
        UserError: If method or text of the model are others, the file belongs to another CLIP, or
            sizes differ.
    """
    what = f'official CAVPT checkpoint {source!r}'
    method, text = model.backbone.peft, model.text
    if not isinstance(method, CAVPT) or not isinstance(text, CoOp):
        raise UserError(
            f'{what} holds class-aware prompts and the text of CoOp, the config has '
            f'{type(method).__name__} and {type(text).__name__}: take a config such as '
            'cavpt_clip_base32_eurosat'
        )
    with fitting(what, named=True):
        visual = from_official(state)
        _check_sizes(state[f'{_TEXT}.ctx'], visual, text, method, what)
        left_out = [f'{_TEXT}.token_{part}' for part in ('prefix', 'suffix')]
        left_out, own = [name for name in left_out if name in state], method.state_dict()
        classifiers = [name for name in visual if name.startswith(_CLASSIFIERS)]
        if not _same_classes(state, text, what):
            left_out += [f'{_VISUAL}{name}' for name in classifiers]
            visual |= {name: own[name] for name in own if name.startswith(_CLASSIFIERS)}
    tensors = {
        **{f'backbone.peft.{name}': tensor for name, tensor in visual.items()},
        'text.ctx': state[f'{_TEXT}.ctx'],
        **{k: v for k, v in state.items() if not k.startswith((f'{_TEXT}.', *_FROZEN))},
    }
    kind = 'official CAVPT checkpoint'
    report = load_strict(model, tensors, what=kind, source=source, file=state)
    return f'{report}; left out, not used: {", ".join(left_out)}' if left_out else report


def _check_sizes(
    ctx: Tensor, visual: Mapping[str, Tensor], text: CoOp, method: CAVPT, what: str
) -> None:
    """Compares numbers of vectors, prompts and blocks, in words."""
    own = method.state_dict()

    def counts(tensors: Mapping[str, Tensor]) -> dict[str, int]:
        static = tensors.get('ctx_learner.ctx')
        aware = tensors['extractor.ctx']
        return {
            'peft.num_static': 0 if static is None else static.shape[1],
            'peft.aware_blocks': len(aware),
            'peft.num_learned': aware.shape[1],
        }

    theirs = {'text.per_class': ctx.dim() == 3, 'text.num_context': ctx.shape[-2], **counts(visual)}
    ours = {
        'text.per_class': text.per_class, 'text.num_context': text.num_context, **counts(own)
    }  # fmt: skip
    for name, value in theirs.items():
        if value != ours[name]:
            place = name.replace('peft.', 'backbone.peft.')
            raise UserError(
                f'{what} has {name.partition(".")[2]}={value}, the config gives {ours[name]}: set '
                f'model.{place}={value}'
            )


def _same_classes(state: Mapping[str, Tensor], text: CoOp, what: str) -> bool:
    """Says whether the file was trained with the model's names; refuses another CLIP."""
    prefix, suffix = (state.get(f'{_TEXT}.token_{part}') for part in ('prefix', 'suffix'))
    table = text.tower.token_embedding.weight
    if prefix is not None:
        start = table[text.tokenizer.start]
        if prefix.shape[-1] != len(start) or not _near(prefix[0, 0], start):
            raise UserError(
                f'{what} was trained with another CLIP: its embedding of the start token is not '
                "the text tower's; give the file of the CLIP that it was trained with in "
                'model.backbone.encoder.checkpoint'
            )
    sequences = text.sequences
    if suffix is None or text.position != 'end' or len(suffix) != len(sequences):
        return False
    rest = sequences[:, 1 + text.num_context :]
    return _near(suffix[:, : rest.shape[1]], table[rest])


def _near(theirs: Tensor, ours: Tensor) -> bool:
    theirs = theirs.to(ours)
    # half precision has 11 bits
    return theirs.shape == ours.shape and torch.allclose(theirs, ours, rtol=2e-3, atol=1e-4)
