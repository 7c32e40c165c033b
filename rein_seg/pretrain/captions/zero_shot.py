"""Scores an image tower and its text tower without any training: captions found, patches named.

N images or crops, K classes, D width of the shared space, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import DATASETS
from torch import Tensor, nn

from rein_seg.encoders import build_encoder, find_anatomy
from rein_seg.encoders.info import EncoderInfo
from rein_seg.errors import UserError
from rein_seg.evaluation.domain_iou import area_scores, count_areas
from rein_seg.evaluation.seen_unseen import harmonic_mean, mean_of
from rein_seg.models.text_config import build_text
from rein_seg.pretrain.captions.captions import Window, caption, sights
from rein_seg.pretrain.config_parts import encoder_config, source_domain, validation_sets
from rein_seg.scenes.streets.pictures import render_picture
from rein_seg.text.source import TextSource, build_source, embed_texts

_CROP = (96, 128)  # (height, width) in pixels
_BATCH = 16


def zero_shot(
    cfg: Config,
    *,
    checkpoint: str | None = None,
    random: bool = False,
    templates: str = 'plain',
    crops: int = 500,
    source_only: bool = False,
) -> dict[str, Any]:
    """Measures what image and text tower know of each other, without any training.

    Args:
        cfg: From `load_config`; gives encoder, validation data and unseen classes.
        checkpoint: Weights file, of both towers, that replaces the config's.
        random: Whether to replace the image tower by random weights (seed 0): the level of chance.
        templates: Sentences around the name of a class; see `templates_of`.
        crops: Number of held-out crops for the retrieval of captions; 0 for none.
        source_only: Whether to leave out the targets. Decisions based on the score must not see
            the targets.

    Returns:
        ``retrieval`` (see `retrieval`), ``domains`` (mIoU, aAcc, IoU of each class, ``chance``; S,
        U and hIoU of a benchmark with unseen classes), ``target_mean`` (mIoU), ``encoder`` and
        ``weights``.

    Raises:
        UserError: If ``crops`` is negative, the encoder has no joint space or no file with a text
            tower, or the config has no validation data.
    """
    if crops < 0:
        raise UserError(f'crops={crops}: expected 0 (no retrieval) or more; change it')
    validation = validation_sets(cfg, source_only=source_only)
    given = encoder_config(cfg, random=False, checkpoint=checkpoint)
    if given.get('checkpoint') is None:
        raise UserError(
            'the encoder of the config has no checkpoint, and so no text tower: give the config of '
            'an encoder with weights, or --checkpoint FILE'
        )
    drawn = encoder_config(cfg, random=True, checkpoint=None) if random else given
    encoder, info = build_encoder(drawn)
    anatomy = find_anatomy(encoder)
    if anatomy.joint is None:
        raise UserError(
            f'encoder {info.name!r} has no joint space of image and text: give a config of an '
            "encoder that has it, such as type='TinyCLIP'"
        )
    image_tower = _ImageTower(encoder, info, anatomy.joint)
    text = build_source(dict(checkpoint=given['checkpoint']), anatomy.joint_dims)
    scores = _domain_scores(cfg, given, image_tower, validation, templates)
    targets = [s['mIoU'] for domain, s in scores.items() if domain != source_domain(cfg)]
    return {
        'retrieval': retrieval(image_tower, text, count=crops) if crops else None,
        'domains': scores,
        'target_mean': float(np.mean(targets)) if targets else None,
        'encoder': info.name,
        'weights': info.weights,
    }


class _ImageTower:
    """Returns joint embeddings of pictures (N, 3, H, W), RGB, 0..255."""

    def __init__(self, encoder: nn.Module, info: EncoderInfo, joint: nn.Module) -> None:
        self.encoder, self.output = encoder, None
        self.mean, self.std = (torch.tensor(v).view(3, 1, 1) for v in (info.mean, info.std))
        joint.register_forward_hook(self._note)

    def _note(self, module: nn.Module, args: Any, output: tuple[Tensor, Tensor]) -> None:
        self.output = output

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        self.encoder((images.float() - self.mean) / self.std)
        whole, dense = self.output
        return F.normalize(whole, dim=1), F.normalize(dense, dim=1)


def retrieval(tower: _ImageTower, text: TextSource, *, count: int) -> dict[str, Any]:
    """Finds the caption of each held-out crop among all, and the crop of each caption.

    Args:
        tower: The image tower.
        text: The text tower.
        count: N, each crop of a street of its own.

    Returns:
        ``class_token`` and ``mean_patch``, two embeddings of a crop, each with ``image_to_text``
        and ``text_to_image``, each with ``R@1`` and ``R@5`` in %; ``chance`` with the same of
        random guesses, and ``crops``. Crops with equal captions count as one.
    """
    images, texts = held_out_crops(count)
    parts = [tower(batch) for batch in images.split(_BATCH)]
    embeddings = {
        'class_token': torch.cat([whole for whole, _ in parts]),
        'mean_patch': F.normalize(torch.cat([dense.mean((2, 3)) for _, dense in parts]), dim=1),
    }
    captions = F.normalize(embed_texts(text, texts, truncate=True), dim=1)
    same = torch.tensor([[a == b for b in texts] for a in texts])
    found = {name: of_crops @ captions.mT for name, of_crops in embeddings.items()}
    return {
        **{
            name: {'image_to_text': recall(x, same), 'text_to_image': recall(x.mT, same)}
            for name, x in found.items()
        },
        'chance': {'R@1': 100 / count, 'R@5': min(5, count) / count * 100},
        'crops': count,
    }


def recall(similar: Tensor, same: Tensor) -> dict[str, float]:
    """Returns the share of rows, in %, with a right column among the best 1 and 5.

    Args:
        similar: (N, M) similarities.
        same: (N, M) whether a column is right for a row.

    Example:
        >>> import torch
        >>> from rein_seg.pretrain.captions.zero_shot import recall
        >>> recall(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.eye(2).bool())
        {'R@1': 50.0, 'R@5': 100.0}
    """
    best = similar.masked_fill(~same, -torch.inf).amax(1, keepdim=True)
    better = (similar > best).sum(1)
    return {f'R@{k}': float((better < k).float().mean() * 100) for k in (1, 5)}


def held_out_crops(count: int, *, seed: int = 0) -> tuple[Tensor, list[str]]:
    """Returns (N, 3, h, w) uint8 crops of streets that no training sees, and a caption of each."""
    images, texts = [], []
    for index in range(count):
        picture = render_picture(index, part='held out', seed=seed)
        rng = np.random.default_rng((seed, 2, index))
        height, width = picture.codes.shape
        top = int(rng.integers(height - _CROP[0] + 1))
        left = int(rng.integers(width - _CROP[1] + 1))
        window: Window = (top, left, top + _CROP[0], left + _CROP[1])
        cut = picture.image[top : window[2], left : window[3], ::-1]
        images.append(torch.from_numpy(np.ascontiguousarray(cut.transpose(2, 0, 1))))
        texts.append(caption(sights(picture, window), picture.air, rng, most=8))
    return torch.stack(images), texts


def _domain_scores(
    cfg: Config,
    encoder: Mapping[str, Any],
    tower: _ImageTower,
    validation: Sequence[Any],
    templates: str,
) -> dict[str, Any]:
    unseen = tuple(cfg.get('benchmark', {}).get('unseen') or ())
    scores, table, classes = {}, None, ()
    for node in validation:
        dataset = DATASETS.build(dict(node))
        if table is None:
            classes = dataset.metainfo['classes']
            text = dict(type='ClassTable', classes=list(classes), templates=templates)
            table = build_text(text, encoder, len(classes))()
        areas = np.zeros((3, len(classes)), np.int64)
        for index in range(len(dataset)):
            sample = dataset[index]
            label = sample['data_samples'].gt_sem_seg.data[0].numpy()
            named = name_patches(tower(sample['inputs'].flip(0)[None])[1], table, label.shape)
            areas += count_areas(named[0].numpy(), label, len(classes))
        scores[node['domain']] = {
            **area_scores(areas, classes),
            'chance': chance(areas[2]),
            **(_seen_unseen(areas, classes, unseen) if unseen else {}),
        }
    return scores


def name_patches(dense: Tensor, table: Tensor, size: tuple[int, ...]) -> Tensor:
    """Returns (B, H, W) indexes of the class whose embedding is most like a pixel's.

    Args:
        dense: (B, D, h, w) normalised; similarities are resized bilinearly.
        table: (K, D) normalised.
        size: (H, W).
    """
    similar = torch.einsum('bdhw,kd->bkhw', dense, table)
    return F.interpolate(similar, size, mode='bilinear', align_corners=False).argmax(1)


def chance(labelled: np.ndarray) -> float:
    """Returns the mIoU in % of random class indexes, from the labelled pixels (K,) of each class.

    Example:
        >>> import numpy as np
        >>> from rein_seg.pretrain.captions.zero_shot import chance
        >>> round(chance(np.array([100, 100])), 2)
        33.33
    """
    share = labelled / max(labelled.sum(), 1)
    hit = share / len(share)
    return float(100 * np.mean(hit / (share + 1 / len(share) - hit)))


def _seen_unseen(
    areas: np.ndarray, classes: Sequence[str], unseen: Sequence[str]
) -> dict[str, float | None]:
    iou = area_scores(areas, classes)['IoU']
    seen = mean_of([iou[name] for name in classes if name not in unseen])
    new = mean_of([iou[name] for name in unseen])
    return {'S': seen, 'U': new, 'hIoU': harmonic_mean(seen, new)}
