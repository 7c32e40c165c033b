"""Builds the text branch of a model, and checks that its parts fit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from mmseg.registry import MODELS

from rein_seg.encoders.shapes_only import is_shapes_only
from rein_seg.errors import UserError, near_misses
from rein_seg.heads.cascade import heads_of
from rein_seg.heads.contract import DecodeHead
from rein_seg.heads.image import ImageHead
from rein_seg.models.backbone import PEFTBackbone
from rein_seg.necks.contract import FeaturesNeck
from rein_seg.peft import PEFTMethod
from rein_seg.registry import PEFT_METHODS
from rein_seg.text import TextBranch

# keys of an encoder's config that hold for the text tower in the same file
_SHARED = ('checkpoint', 'checkpoint_url', 'act')
_SOURCES = ('tower', 'init_seed')
_TEXT, _JOINT = 'text_dims', 'joint_dims'
PartConfigs = Mapping[str, Mapping[str, Any] | Sequence[Mapping[str, Any]] | None]


class TextReader:
    """A part of a model beside neck and heads that reads text, or images in its space.

    Attributes:
        filled_in: ``text_dims`` and ``joint_dims``, of what it reads.
    """

    filled_in: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def facts(cls, cfg: Mapping[str, Any]) -> tuple[str, ...]:
        """Returns ``filled_in``, as far as a part of this config reads it."""
        return cls.filled_in


def build_text(
    cfg: Mapping[str, Any],
    encoder: Mapping[str, Any],
    num_classes: int,
    joint_dims: int | None = None,
) -> TextBranch:
    """Builds a text branch.

    A branch without a source of its own takes the text tower in the encoder's file of weights, or,
    with a random encoder, random values.

    Args:
        cfg: Its config, with ``classes``.
        encoder: Config of the encoder.
        num_classes: K.
        joint_dims: D of the encoder, if it has a space that image and text share.

    Raises:
        UserError: If the type is no text branch, or the classes are missing or are not K.

    Example:
        >>> from rein_seg.models.text_config import build_text
        >>> table = dict(type='ClassTable', classes=['road', 'sky'], dims=8)
        >>> build_text(table, dict(type='TinyViT', init_seed=0), 2).dims
        8
    """
    classes = cfg.get('classes') or ()
    if not classes and is_shapes_only():  # data that name them need not be there to count
        classes = [f'class {i}' for i in range(num_classes)]
    if len(classes) != num_classes:
        raise UserError(
            f'model.text.classes has {len(classes)} names, the model num_classes={num_classes}: '
            'expected a name for each class; leave classes out to take the names of the data sets'
        )
    given, filled_in = {**cfg, 'classes': classes}, _class_of(cfg).filled_in
    if 'dims' in filled_in and joint_dims is not None:
        given.setdefault('dims', joint_dims)
    if 'tower' in filled_in and all(given.get(key) is None for key in _SOURCES):
        given |= source_of(encoder, filled_in, given.get('file'))
    return MODELS.build(given)


def _class_of(cfg: Mapping[str, Any]) -> type[TextBranch]:
    cls = MODELS.get(str(cfg.get('type')))
    if isinstance(cls, type) and issubclass(cls, TextBranch):
        return cls
    every = MODELS.module_dict.items()
    known = [name for name, one in every if isinstance(one, type) and issubclass(one, TextBranch)]
    raise UserError(
        f'model.text.type={cfg.get("type")!r} is no text branch; '
        f'{near_misses(str(cfg.get("type")), known)}'
    )


def source_of(
    encoder: Mapping[str, Any], filled_in: Sequence[str] = (), file: str | None = None
) -> dict[str, Any]:
    """Returns the source of embeddings that belongs to an encoder's, beside a table in a file.

    Args:
        encoder: Its config.
        filled_in: Of the text branch.
        file: The table, if there is a file of it.

    Example:
        >>> from rein_seg.models.text_config import source_of
        >>> source_of(dict(type='CLIPViT', arch='base', checkpoint='ViT-B-16.pt'))
        {'tower': {'checkpoint': 'ViT-B-16.pt'}}
    """
    seed = encoder.get('init_seed')
    if seed is not None and file is not None:
        return {}
    if seed is not None:  # random rows do for a random encoder
        return {'init_seed': seed} if 'init_seed' in filled_in else {'tower': {'init_seed': seed}}
    tower = {key: encoder[key] for key in _SHARED if encoder.get(key) is not None}
    return {'tower': tower} if 'checkpoint' in tower else {}


def text_for(
    parts: PartConfigs,
    cfg: Mapping[str, Any] | None,
    backbone: PEFTBackbone,
    encoder: Mapping[str, Any],
    num_classes: int,
) -> TextBranch | None:
    """Returns the text branch of a model, or None without, after checking that its parts fit it.

    Args:
        parts: Key of the config -> config of neck or heads, or None.
        cfg: Config of the branch, or None.
        backbone: The built backbone.
        encoder: Config of its encoder.
        num_classes: K.

    Raises:
        UserError: If a part reads what is not there, no part reads the text or the joint space, or
            text and image have another width where a part compares them.
    """
    check_readers(parts, cfg, backbone.joint_dims, backbone.encoder_info.name, backbone.peft)
    if cfg is None:
        return None
    text = build_text(cfg, encoder, num_classes, backbone.joint_dims)
    _check_width(parts, text.dims, backbone.joint_dims)
    if backbone.peft.reads_text:
        _check_method(text, backbone)
    return text


def facts_read(cfg: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the facts that a neck or head takes; empty for classes of mmseg.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.models.text_config import facts_read
        >>> 'query_dims' in facts_read(dict(type='LinearHead')), facts_read(dict(type='FPN'))
        (True, ())
    """
    cls = MODELS.get(str(cfg.get('type')))
    if not isinstance(cls, type):
        return ()
    if issubclass(cls, (TextReader, DecodeHead)):
        return cls.facts(cfg)
    return cls.filled_in if issubclass(cls, (FeaturesNeck, ImageHead)) else ()


def default_text(parts: PartConfigs, peft: Any = ()) -> dict[str, Any] | None:
    """Returns the config of a fixed table where a part or the method reads class names, else None.

    Args:
        parts: As for `check_readers`.
        peft: Config of the method, or a list of them.

    Example:
        >>> import rein_seg.apis
        >>> from rein_seg.models.text_config import default_text
        >>> linear = dict(decode_head=dict(type='LinearHead'))
        >>> default_text(linear), default_text(linear, dict(type='CAVPT'))
        (None, {'type': 'ClassTable'})
    """
    methods = [peft] if isinstance(peft, Mapping) else list(peft)
    classes = [PEFT_METHODS.get(str(method.get('type'))) for method in methods]
    reads = any(_TEXT in facts_read(cfg) for _, cfg in _each(parts))
    reads |= any(getattr(cls, 'reads_text', False) for cls in classes)
    return {'type': 'ClassTable'} if reads else None


def check_readers(
    parts: PartConfigs,
    text: Mapping[str, Any] | None,
    joint_dims: int | None,
    encoder: str,
    method: PEFTMethod | None = None,
) -> None:
    """Checks that a model has the text branch and the joint space that its parts read.

    Args:
        parts: Key of the config -> config of neck or heads, or None.
        text: Config of the text branch, or None.
        joint_dims: Width of the encoder's joint space, or None.
        encoder: Name of the encoder, for messages.
        method: The tuning method, which may read text, too.

    Raises:
        UserError: If a part reads what is not there, or no part reads the text or the joint space.
    """
    readers, of_joint = 0, 0
    _check_scores(parts)
    if method is not None and method.reads_text:
        readers = of_joint = 1
        if text is None or joint_dims is None:
            raise UserError(
                f'model.backbone.peft={type(method).__name__!r} compares images with class names, '
                'and the model has no text branch or no space that image and text share: expected '
                "both; set model.text=dict(type='ClassTable'), and an encoder with joint_dims"
            )
    for place, cfg in _each(parts):
        named, facts = f'model.{place}={cfg.get("type")!r}', facts_read(cfg)
        readers += _TEXT in facts
        of_joint += _JOINT in facts
        if _TEXT in facts and text is None:
            raise UserError(
                f'{named} reads the embeddings of the class names, and the model has no text '
                "branch: expected one; set model.text=dict(type='ClassTable')"
            )
        optional = getattr(MODELS.get(str(cfg.get('type'))), 'optional', ())
        if _JOINT in facts and joint_dims is None and _JOINT not in optional:
            raise UserError(
                f'{named} reads the space that image and text share, which encoder {encoder!r} '
                'does not give: expected CLIPViT, CLIPResNet or TinyCLIP with joint_dims; set '
                'model.backbone.encoder'
            )
    if text is not None and not readers:
        heads = ', '.join(str(cfg.get('type')) for _, cfg in _each(parts))
        raise UserError(
            f'model.text={text.get("type")!r} is read by no part of the model ({heads}): expected '
            'a neck or head that reads class names, such as ATMHead; or leave model.text out'
        )
    if joint_dims is not None and not of_joint:
        raise UserError(
            f'encoder {encoder!r} has joint_dims={joint_dims}, but no neck or head of the model '
            'reads the space that image and text share, so its part of the encoder would never '
            'train: set encoder.joint_dims=None, or use a head that reads it, such as ATMHead'
        )


def _check_scores(parts: PartConfigs) -> None:
    """Checks that a neck makes the scores of pixels and words that a head reads."""
    each = [(place, cfg, MODELS.get(str(cfg.get('type')))) for place, cfg in _each(parts)]
    if any(getattr(cls, 'makes_scores', False) for _, _, cls in each):
        return
    for place, cfg, cls in each:
        if getattr(cls, 'reads_scores', False):
            raise UserError(
                f'model.{place}={cfg.get("type")!r} reads scores of pixels and words, which no '
                "neck makes: expected model.neck=dict(type='PixelTextNeck', ...); set it, or take "
                'another head'
            )


def _check_width(parts: PartConfigs, text_dims: int, joint_dims: int | None) -> None:
    """Checks that image and text share a space, for parts that compare them."""
    for place, cfg in _each(parts):
        facts = facts_read(cfg)
        if _TEXT in facts and _JOINT in facts and text_dims != joint_dims:
            raise UserError(
                f'model.{place}={cfg.get("type")!r} compares text of width {text_dims} with '
                f'an image of width {joint_dims}: expected both of one CLIP; give model.text '
                "the table or tower of the encoder's CLIP, or leave tower out to take it from the "
                "encoder's file"
            )


def _check_method(text: TextBranch, backbone: PEFTBackbone) -> None:
    """Checks that a method that reads text gets fixed words, in the width of images."""
    named = f'model.backbone.peft={type(backbone.peft).__name__!r}'
    if text.dims != backbone.joint_dims:
        raise UserError(
            f'{named} compares text of width {text.dims} with an image of width '
            f'{backbone.joint_dims}: expected both of one CLIP; leave text.tower and text.dims out'
        )
    if text.fixed() is None:
        raise UserError(
            f'{named} selects classes by names in fixed words, and model.text='
            f'{type(text).__name__!r} has learned words alone: expected text.fixed_template; set '
            "it, such as 'a photo of a {}.'"
        )


def _each(parts: PartConfigs) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, cfg in parts.items():
        many: list[Any] = list(cfg) if isinstance(cfg, (list, tuple)) else [cfg]
        for one in filter(None, many):
            yield from ((place, head) for head in heads_of(one))
