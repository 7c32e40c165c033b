"""Scores a linear classifier on an encoder's frozen features, domain by domain.

N images, P patches, C channels of all maps together, K classes, H x W pixels, h x w patches.
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

from rein_seg.encoders import build_encoder
from rein_seg.encoders.info import EncoderInfo
from rein_seg.errors import UserError
from rein_seg.evaluation.domain_iou import area_scores, count_areas
from rein_seg.pretrain.config_parts import encoder_config, source_domain, validation_sets

# fixed, so that two encoders cannot differ in how much their probes were tuned
_STEPS, _BATCH, _RATE, _DECAY = 800, 4096, 3e-3, 1e-3


def linear_probe(
    cfg: Config,
    *,
    random: bool = False,
    checkpoint: str | None = None,
    source_only: bool = False,
    images: int = 200,
) -> dict[str, Any]:
    """Fits a linear classifier to frozen features of the source and scores it on every domain.

    The maps of all outputs are normalised over their channels, then standardised with statistics of
    the source. Labels are soft (shares of the classes in a patch), the classifier is a multinomial
    regression with fixed settings. Without augmentation and tuning, a comparison of two encoders
    depends on their features alone.

    Args:
        cfg: From `load_config`; gives encoder, training and validation data.
        random: Whether to replace the pretrained weights by random weights (seed 0).
        checkpoint: Weights file that replaces the config's.
        source_only: Whether to leave out the targets. Decisions based on the score must not see
            the targets.
        images: Number of training images of the source.

    Returns:
        ``domains`` (mIoU, aAcc and IoU of each class, by domain), ``target_mean`` (mIoU),
        ``encoder`` and ``weights``.

    Raises:
        UserError: If the config has no encoder or validation data, or both ``random`` and
            ``checkpoint`` are given.
    """
    if random and checkpoint:
        raise UserError('random and checkpoint were both given: choose one')
    encoder, info = build_encoder(encoder_config(cfg, random=random, checkpoint=checkpoint))
    validation = validation_sets(cfg, source_only=source_only)
    plain = validation[0]['pipeline']
    train = DATASETS.build(_quiet(cfg.train_dataloader.dataset, plain))
    classes = train.metainfo['classes']
    rows, shares = _training_rows(encoder, info, train, images, num_classes=len(classes))
    mean, std = rows.mean(0), rows.std(0) + 1e-5
    classifier = _fit((rows - mean) / std, shares)
    scores = {}
    for node in validation:
        dataset = DATASETS.build(dict(node))
        areas = np.zeros((3, len(classes)), np.int64)
        for image, label in _samples(dataset, len(dataset)):
            features = _features(encoder, info, image)
            features = (features - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)
            logits = F.conv2d(features, classifier.weight[..., None, None], classifier.bias)
            logits = F.interpolate(logits, label.shape, mode='bilinear', align_corners=False)
            areas += count_areas(logits[0].argmax(0).numpy(), label, len(classes))
        scores[node['domain']] = area_scores(areas, classes)
    targets = [s['mIoU'] for d, s in scores.items() if d != source_domain(cfg)]
    return {
        'domains': scores,
        'target_mean': float(np.mean(targets)) if targets else None,
        'encoder': info.name,
        'weights': info.weights,
    }


def probe_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a markdown table with a row for each named result of `linear_probe`.

    Example:
        >>> from rein_seg.pretrain.linear_probe import probe_table
        >>> scores = dict(clear=dict(mIoU=41.3), fog=dict(mIoU=30.0))
        >>> result = dict(domains=scores, target_mean=30.0)
        >>> print(probe_table({'ours': result}))
        | weights | clear | fog | mean of targets |
        |---|---|---|---|
        | ours | 41.3 | 30.0 | 30.0 |
    """
    domains = list(next(iter(results.values()))['domains'])
    head = ['weights', *domains, 'mean of targets']
    lines = [f'| {" | ".join(head)} |', '|' + '---|' * len(head)]
    for name, result in results.items():
        cells = [f'{result["domains"][d]["mIoU"]:.1f}' for d in domains]
        mean = result['target_mean']
        cells.append('-' if mean is None else f'{mean:.1f}')
        lines.append(f'| {" | ".join([name, *cells])} |')
    return '\n'.join(lines)


def _quiet(dataset: Mapping[str, Any], pipeline: Sequence[Any]) -> dict[str, Any]:
    """Returns a data set config without augmentation."""
    return {**dataset, 'pipeline': list(pipeline), 'test_mode': True}


def _samples(dataset: Any, count: int) -> Any:
    for index in range(min(count, len(dataset))):
        sample = dataset[index]
        label = sample['data_samples'].gt_sem_seg.data[0].numpy()
        yield sample['inputs'], label


@torch.no_grad()
def _features(encoder: nn.Module, info: EncoderInfo, image: Tensor) -> Tensor:
    """Returns (1, C, h, w) of a (3, H, W) BGR picture."""
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (info.mean, info.std))
    maps = encoder(((image.flip(0).float() - mean) / std)[None])
    size = maps[0].shape[-2:]
    normed = [F.layer_norm(m.permute(0, 2, 3, 1), m.shape[1:2]).permute(0, 3, 1, 2) for m in maps]
    return torch.cat(
        [F.interpolate(m, size, mode='bilinear', align_corners=False) for m in normed], dim=1
    )


def _training_rows(
    encoder: nn.Module, info: EncoderInfo, dataset: Any, count: int, *, num_classes: int
) -> tuple[Tensor, Tensor]:
    """Returns features (P, C) and shares of the classes (P, K) of all labelled patches."""
    rows, shares = [], []
    for image, label in _samples(dataset, count):
        features = _features(encoder, info, image)
        hot = F.one_hot(torch.from_numpy(label).long(), 256)[..., :num_classes].float()
        share = F.adaptive_avg_pool2d(hot.permute(2, 0, 1), features.shape[-2:]).flatten(1).T
        # a patch of ignored pixels alone has no label
        known = share.sum(1) > 0
        rows.append(features[0].flatten(1).T[known])
        shares.append(share[known] / share[known].sum(1, keepdim=True))
    return torch.cat(rows), torch.cat(shares)


def _fit(rows: Tensor, shares: Tensor) -> nn.Linear:
    generator = torch.Generator().manual_seed(0)
    classifier = nn.Linear(rows.shape[1], shares.shape[1])
    # the problem is convex, so a start at zero is as good as any and needs no seed
    nn.init.zeros_(classifier.weight)
    nn.init.zeros_(classifier.bias)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=_RATE, weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, _STEPS)
    for _ in range(_STEPS):
        chosen = torch.randint(len(rows), (_BATCH,), generator=generator)
        loss = F.cross_entropy(classifier(rows[chosen]), shares[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return classifier.requires_grad_(False)
