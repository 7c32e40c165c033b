"""Other classes for a model that reads the names of classes.

K classes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from rein_seg.errors import UserError
from rein_seg.heads.mmseg_head import as_head
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.necks.contract import FeaturesNeck
from rein_seg.palettes import palette_with
from rein_seg.text import TextBranch
from rein_seg.text.names import Names, check_classes, spoken

if TYPE_CHECKING:
    from rein_seg.models.segmentor import PEFTSegmentor

_OPEN = (
    'a model that reads the names of classes, such as the model of zegclip_tiny_miniscapes '
    '(docs/guides/text.md)'
)

NO_TEXT = 'it reads no names (no model.text)'


def why_closed(model: PEFTSegmentor) -> str | None:
    """Says why a model predicts the classes of its training alone; None if it takes others."""
    text, head, neck = model.text, model.heads['decode'], getattr(model, 'neck', None)
    if text is None:
        return NO_TEXT
    if model.tasks:
        return 'its classes belong to several tasks'
    if not text.open_vocabulary:
        return f'{type(text).__name__} has embeddings of its own classes alone'
    if isinstance(neck, FeaturesNeck) and not neck.open_vocabulary:
        return f'the maps of {type(neck).__name__} have a channel for each class'
    if not head.open_vocabulary:
        kind = type(model.head_modules()['decode']).__name__
        return f'{kind} has weights for each class'
    return None


def check_open(reason: str | None) -> None:
    """Checks that a model takes other classes.

    Args:
        reason: Why it does not; see `why_closed`.

    Raises:
        UserError: If there is a reason.

    Example:
        >>> from rein_seg.models.open_vocabulary import check_open
        >>> check_open('it reads no names')
        Traceback (most recent call last):
        rein_seg.errors.UserError: other classes than those of the training: this model has fixed...
    """
    if reason is not None:
        raise UserError(
            f'other classes than those of the training: this model has fixed classes, since '
            f'{reason}; leave classes out, or train {_OPEN}'
        )


def check_choice(
    classes: Sequence[str], names: Names | None = None, unseen: Sequence[str] = ()
) -> None:
    """Checks classes to predict: as `check_classes`, and that there are two or more.

    Raises:
        UserError: If they are wrong.
    """
    check_classes(classes, unseen, names)
    if len(classes) < 2:
        raise UserError(
            f'classes name {classes[0]!r} alone: expected two names or more, since the best of '
            'them is predicted; add a name for the rest of the image'
        )


def _words_of(name: str, names: Names | None) -> set[str]:
    """Returns the name of a class and its words, as a text tower reads them."""
    words = (names or {}).get(name, ())
    return {spoken(one) for one in (name, *([words] if isinstance(words, str) else words))}


def labelled_words(text: TextBranch | None) -> frozenset[str]:
    """Returns names and words of the classes that training labels, as a text tower reads them."""
    if text is None:
        return frozenset()
    kept = [i for i in range(len(text.classes)) if i not in text.unseen]
    return frozenset(spoken(one) for i in kept for one in (text.classes[i], *text.words[i]))


def set_classes(
    model: PEFTSegmentor,
    classes: Sequence[str],
    unseen: Sequence[str] | None = None,
    names: Names | None = None,
) -> None:
    """Gives text branch and decode head other classes, in place; see `PEFTSegmentor.set_classes`.

    Raises:
        UserError: If the model cannot take other classes, or the names are wrong; the model is then
            as it was.
    """
    check_open(why_closed(model))
    assert model.text is not None  # else it is closed
    check_choice(classes, names, unseen or ())
    if unseen is None:
        unseen = [name for name in classes if not model.labelled & _words_of(name, names)]
    model.text.set_classes(classes, unseen, names)
    as_head(model.decode_head).set_classes(len(classes), model.text.unseen)
    model.num_classes = model.out_channels = len(classes)
    model.set_test_cfg(model.test_cfg)
    _name_in_meta(model)


def _name_in_meta(model: PEFTSegmentor) -> None:
    """Names the classes in ``dataset_meta``, with the colours of known names."""
    meta = getattr(model, 'dataset_meta', None)
    if meta and meta.get('classes') and meta.get('palette'):
        assert model.text is not None
        pairs = zip(meta['classes'], meta['palette'], strict=False)
        known = {spoken(name): colour for name, colour in pairs}
        classes = model.text.classes
        palette = palette_with([spoken(name) for name in classes], known)
        model.dataset_meta = {**meta, 'classes': classes, 'palette': palette}


def with_own_classes(model: nn.Module) -> nn.Module:
    """Returns a copy of a model whose classes can be set alone.

    Backbones and all parameters are shared; the structure of text branches, neck and heads is
    copied.
    """
    other = copy.copy(model)
    other._modules = dict(model._modules)
    for name in ('text', 'neck', 'decode_head', 'regions', 'head'):
        part = model._modules.get(name)
        if part is not None:
            shared: dict[int, nn.Module | nn.Parameter] = {
                id(one): one for one in part.parameters()
            }
            shared |= {id(one): one for one in part.modules() if isinstance(one, PEFTBackbone)}
            other._modules[name] = copy.deepcopy(part, shared)
    return other
