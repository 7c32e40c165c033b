"""One picture of a run on whole images: some images of each domain with their predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rein_seg.checkpoint import write_png
from rein_seg.datasets import leaf_datasets
from rein_seg.pages.strips import cards
from rein_seg.run.overview import domain_title, sample_image

_SHOWN = 3


@torch.no_grad()
def draw_image_overview(
    path: Path, model: nn.Module, dataset: Any, results: Mapping[str, Any]
) -> None:
    """Writes the picture of a run: the first, the middle and the last image of each domain.

    Args:
        path: PNG file; it is complete or absent.
        model: The model.
        dataset: Test data set, of one domain or a concatenation of several.
        results: As in results.json; each row has the main score of its domain.
    """
    model.eval()
    rows = []
    for part in leaf_datasets(dataset):
        indexes = sorted({0, len(part) // 2, len(part) - 1})[:_SHOWN]
        infos = [part.get_data_info(i) for i in indexes]
        names = part.metainfo['classes']
        captions = [_caption(model, part[i], names) for i in indexes]
        title = domain_title(part.domain, results)
        rows.append(cards(title, [sample_image(info) for info in infos], captions))
    write_png(path, np.vstack(rows)[..., ::-1])


def _caption(model: nn.Module, sample: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Returns the class of an image and, of a classifier, the prediction where it is another."""
    batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
    output = model.test_step(batch)[0]
    label = classes[int(output.gt_label)]
    if 'pred_score' not in output:
        return label
    pred = int(output.pred_score.argmax())
    share = f'{100 * float(output.pred_score[pred]):.0f} %'
    return (
        f'{label}: right, {share}'
        if classes[pred] == label
        else (f'{label}: taken for {classes[pred]}, {share}')
    )
