"""Sentences around the name of a class."""

from __future__ import annotations

from collections.abc import Sequence

from rein_seg.errors import UserError, near_misses

_SIZES = [f'a photo of a {size}{{}}.' for size in ('', 'small ', 'medium ', 'large ')]
_THERE = ('There is a', 'There is the', 'This is a', 'This is the', 'This is one')
# ZegCLIP's (Zhou et al., CVPR 2023): one sentence for VOC, 15 for COCO-Stuff
_OWN = {
    'name': ('{}',),
    'plain': ('a photo of a {}',),
    'zegclip_coco': (
        *_SIZES,
        *(f'This is {sentence}' for sentence in _SIZES),
        'a {} in the scene.',
        'a photo of a {} in the scene.',
        *(f'{there} {{}} in the scene.' for there in _THERE),
    ),
}
_MMSEG = ('imagenet', 'vild')  # CLIP's 80 for ImageNet, ViLD's 14


def templates_of(templates: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the sentences of a set.

    Args:
        templates: ``plain`` ("a photo of a {}"), ``name`` (the name alone), ``zegclip_coco`` (15),
            ``imagenet`` (80), ``vild`` (14), or sentences with {} in place of the name.

    Raises:
        UserError: If it is no set, or a sentence has no place for the name.

    Example:
        >>> from rein_seg.text.templates import templates_of
        >>> templates_of('plain'), len(templates_of('zegclip_coco')), len(templates_of('imagenet'))
        (('a photo of a {}',), 15, 80)
    """
    if isinstance(templates, str):
        if templates in _OWN:
            return _OWN[templates]
        if templates in _MMSEG:
            from mmseg.utils import get_predefined_templates

            return tuple(get_predefined_templates(templates))
        sets = (*_OWN, *_MMSEG)
        raise UserError(f'text.templates={templates!r} is no set; {near_misses(templates, sets)}')
    for sentence in templates:
        if not isinstance(sentence, str) or sentence.count('{}') != 1:
            raise UserError(
                f'text.templates holds {sentence!r}: expected a sentence with one {{}} for the name'
            )
    if not templates or len(set(templates)) != len(templates):
        raise UserError(
            f'text.templates={list(templates)!r}: expected one sentence or more, each once; '
            "correct the list, or take the set 'plain'"
        )
    return tuple(templates)


def check_template(template: str | None) -> None:
    """Checks the sentence of ``text.fixed_template``.

    Args:
        template: A sentence with {} in place of the name, or None.

    Raises:
        UserError: If it has no place for the name, or more than one.

    Example:
        >>> from rein_seg.text.templates import check_template
        >>> check_template('a photo of a {}.')
    """
    if template is not None and (not isinstance(template, str) or template.count('{}') != 1):
        raise UserError(
            f'text.fixed_template={template!r}: expected a sentence with one {{}} for the name; '
            "correct it, such as 'a photo of a {}.'"
        )


def fill_in(templates: Sequence[str], phrases: Sequence[str]) -> tuple[str, ...]:
    """Returns every sentence with every phrase.

    Args:
        templates: Sentences with {}.
        phrases: The synonyms of a class.

    Example:
        >>> from rein_seg.text.templates import fill_in
        >>> fill_in(['a {}.', 'the {}.'], ['road', 'street'])
        ('a road.', 'a street.', 'the road.', 'the street.')
    """
    # not str.format: a name may hold braces
    return tuple(sentence.replace('{}', phrase) for sentence in templates for phrase in phrases)
